// Package record writes Kubernetes Events: what to tell by kubectl describe, so that few are
// written however often something is reported, and however many tell it.
package record
