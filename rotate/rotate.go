// Package rotate decides how the gossip key of a running mesh is replaced
// without a moment in which a member cannot read another.
//
// The keys are lines of a Secret that all speakers follow: the first encrypts,
// all decrypt. A new key therefore goes through the keyring in steps, and each
// waits until every member has taken the one before, which the fingerprints in
// the status of the speakers tell:
//
//	keyring    step    is taken when all members
//	old        Add     encrypt with the first key, so that they follow this keyring
//	old, new   Use     hold the new key
//	new, old   Drop    encrypt with the new key
//	new        Finish  hold the new key alone
//
// A mark beside the keyring, the fingerprint of the new key, tells an old, new
// from a new, old. So where a rotation stands is written where the keys are:
// whoever was interrupted goes on from there, and somebody else as well.
//
// Members that are dead are not waited for: they read the Secret when they come back. Those that
// live but cannot say what they hold are.
//
// A key is 32 bytes (AES-256-GCM), in base64 on a line of its own. A fingerprint is the first four
// bytes of a SHA-256 over a fixed text and the key, in hexadecimal (see mesh.Fingerprints).
package rotate

import (
	"fmt"
	"slices"
	"strings"
)

// A Step of a rotation.
type Step string

// The steps in their order.
const (
	Add    Step = "add"    // a new key to the end of the keyring, and the mark
	Use    Step = "use"    // the new key: it becomes the first one
	Drop   Step = "drop"   // all other keys
	Finish Step = "finish" // by taking the mark away
)

// Keyring is the state of the Secret: fingerprints, the first one encrypts.
type Keyring struct {
	Keys []string
	Mark string // of the new key, "" when no rotation is under way
}

// Next is the step that is due. A mark without its key counts for nothing.
func (r Keyring) Next() Step {
	switch at := slices.Index(r.Keys, r.Mark); {
	case r.Mark == "" || at < 0:
		return Add
	case at > 0:
		return Use
	case len(r.Keys) > 1:
		return Drop
	}
	return Finish
}

// Lacking says in words, one for each member, why the step that is due cannot
// be taken yet. None: it can.
func (r Keyring) Lacking(members []Member) []string {
	var out []string
	for _, m := range members {
		if why := r.objection(m); why != "" {
			out = append(out, m.Name+" "+why)
		}
	}
	return out
}

func (r Keyring) objection(m Member) string {
	switch {
	case m.Unknown != "":
		return m.Unknown
	case len(m.Keys) == 0:
		return "does not tell its keys; is its release older?"
	}
	switch step := r.Next(); {
	case step == Add && m.Keys[0] != r.Keys[0]:
		return fmt.Sprintf("encrypts with %s, not with the Secret's first key %s; has it a --gossip-key-file?", m.Keys[0], r.Keys[0])
	case step == Use && !slices.Contains(m.Keys, r.Mark):
		return fmt.Sprintf("lacks the key %s, it holds %s", r.Mark, strings.Join(m.Keys, " "))
	case step == Drop && m.Keys[0] != r.Mark:
		return fmt.Sprintf("encrypts with %s, not yet with %s", m.Keys[0], r.Mark)
	case step == Finish && (len(m.Keys) > 1 || m.Keys[0] != r.Mark):
		return fmt.Sprintf("holds %s, not %s alone", strings.Join(m.Keys, " "), r.Mark)
	}
	return ""
}
