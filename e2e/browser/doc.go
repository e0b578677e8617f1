// Package browser tests the status page in a real browser, Debian's headless Chromium, as a person
// uses it: with a mouse, with a keyboard, in light and dark, on a phone, without JavaScript, and
// while addresses move. The speakers behind the page are played (see stage), but they serve by the
// real package status, each at a loopback address of its own, so that they can compare their views.
//
// It is a module of its own, because driving a browser is a dependency of neither the product nor
// the cluster's tests. With STARLING_SCREENSHOTS=DIR it leaves there what it saw.
package browser
