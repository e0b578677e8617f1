// Package checks tests what is shipped besides the program by those who will read it: Helm renders
// the chart, kustomize builds bases and overlays, and Prometheus evaluates alerts and dashboard. It
// is a module of its own, so that these are dependencies of the tests and not of the product.
package checks
