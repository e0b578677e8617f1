// Package lease decides which Service holds which address. It is pure: no I/O, no clock, no log.
package lease
