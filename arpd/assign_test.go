package arpd

import "net/netip"

// Set changes the addresses that are answered and leaves those that are watched.
func (r *Responder) Set(vips []netip.Addr) {
	_, watched := r.assigned()
	r.Assign(vips, watched)
}

// Watch changes the addresses that are watched and leaves those that are answered.
func (r *Responder) Watch(vips []netip.Addr) {
	own, _ := r.assigned()
	r.Assign(own, vips)
}

func (r *Responder) assigned() (own, watched []netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.own, r.watched
}
