package nft

import (
	"slices"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

const (
	// priority is behind conntrack (-200) and in front of what rewrites packets (-150) and of NAT
	// (-100).
	priority = -175
	// maxFlows bounds the set of flows, and recent is how long one is in it.
	maxFlows = 1 << 14
	recent   = time.Minute

	tcpFlagsAt = 13 // in the TCP header (RFC 9293, 3.1)
	fin        = 1 << 0
	syn        = 1 << 1
	rst        = 1 << 2
)

// family is what differs between the two.
type family struct {
	name     string
	is4      bool
	family   nftables.TableFamily
	address  nftables.SetDatatype
	from, to uint32 // offsets in the IP header
	length   uint32 // of an address
	icmp     byte
}

//nolint:gochecknoglobals // a constant
var families = []family{
	{"ip", true, nftables.TableFamilyIPv4, nftables.TypeIPAddr, 12, 16, 4, unix.IPPROTO_ICMP},
	{"ip6", false, nftables.TableFamilyIPv6, nftables.TypeIP6Addr, 8, 24, 16, unix.IPPROTO_ICMPV6},
}

// table is that of a family, with what is in it.
type table struct {
	*nftables.Table
	family
	to, guard, flows *nftables.Set
}

func (f family) table() table {
	t := table{Table: &nftables.Table{Name: tableName, Family: f.family}, family: f}
	t.to = &nftables.Set{Table: t.Table, Name: "to", IsMap: true, HasTimeout: true, KeyType: f.address, DataType: f.address}
	t.guard = &nftables.Set{
		Table: t.Table, Name: "guard", Concatenation: true,
		KeyType: nftables.MustConcatSetType(f.address, nftables.TypeEtherAddr),
	}
	t.flows = &nftables.Set{
		Table: t.Table, Name: "flows", Concatenation: true, Dynamic: true, HasTimeout: true, Timeout: recent, Size: maxFlows,
		KeyType: nftables.MustConcatSetType(f.address, nftables.TypeInetService, f.address, nftables.TypeInetService),
	}
	return t
}

// build makes the sets, chains and rules anew. What is in the sets stays.
func (t table) build(c *nftables.Conn) error {
	for _, s := range []*nftables.Set{t.to, t.guard, t.flows} {
		if err := c.AddSet(s, nil); err != nil {
			return err
		}
	}
	in := c.AddChain(&nftables.Chain{
		Table: t.Table, Name: "in", Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityRef(priority),
	})
	moved := c.AddChain(&nftables.Chain{Table: t.Table, Name: "moved"})
	pass := c.AddChain(&nftables.Chain{Table: t.Table, Name: "pass"})
	for _, chain := range []*nftables.Chain{in, moved, pass} {
		c.FlushChain(chain)
	}
	rule := func(chain *nftables.Chain, exprs ...[]expr.Any) {
		r := &nftables.Rule{Table: t.Table, Chain: chain}
		for _, e := range exprs {
			r.Exprs = append(r.Exprs, e...)
		}
		c.AddRule(r)
	}
	rule(in, t.there(), verdict(expr.VerdictJump, moved.Name))
	rule(moved, t.guarded(), verdict(expr.VerdictReturn, ""))
	data := slices.Concat(protocol(unix.IPPROTO_TCP), flags(syn|fin|rst, expr.CmpOpEq), state(expr.CtStateBitNEW))
	rule(moved, data, t.note()) // a rule of its own: it ends where the set is full
	rule(moved, data, verdict(expr.VerdictGoto, pass.Name))
	rule(moved, protocol(unix.IPPROTO_TCP), flags(fin|rst, expr.CmpOpNeq), state(expr.CtStateBitINVALID), verdict(expr.VerdictGoto, pass.Name))
	rule(moved, protocol(t.icmp), state(expr.CtStateBitINVALID), verdict(expr.VerdictGoto, pass.Name))
	rule(pass, t.there(), []expr.Any{&expr.Dup{RegAddr: unix.NFT_REG_2}}, []expr.Any{&expr.Counter{}}, verdict(expr.VerdictDrop, ""))
	return nil
}

// there finds the other node of the packet's VIP, if there is one, and loads its address into the
// second register.
func (t table) there() []expr.Any {
	return []expr.Any{
		t.addr(t.family.to, unix.NFT_REG_1),
		&expr.Lookup{SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_2, IsDestRegSet: true, SetName: t.to.Name, SetID: t.to.ID},
	}
}

// addr loads an address of the packet.
func (t table) addr(offset, register uint32) expr.Any {
	return &expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: t.length}
}

// guarded matches what comes from a MAC that nothing is passed from.
func (t table) guarded() []expr.Any {
	return []expr.Any{
		t.addr(t.family.to, unix.NFT_REG32_00),
		&expr.Payload{DestRegister: unix.NFT_REG32_00 + t.length/4, Base: expr.PayloadBaseLLHeader, Offset: 6, Len: 6},
		&expr.Lookup{SourceRegister: unix.NFT_REG32_00, SetName: t.guard.Name, SetID: t.guard.ID},
	}
}

// note puts the packet's connection into the set of flows.
func (t table) note() []expr.Any {
	at, words := uint32(unix.NFT_REG32_00), t.length/4
	port := func(offset, register uint32) expr.Any {
		return &expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2}
	}
	return []expr.Any{
		t.addr(t.from, at), port(0, at+words),
		t.addr(t.family.to, at+words+1), port(2, at+2*words+1),
		&expr.Dynset{SrcRegKey: at, SetName: t.flows.Name, SetID: t.flows.ID, Operation: unix.NFT_DYNSET_OP_UPDATE},
	}
}

// protocol matches packets of one.
func protocol(p byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: unix.NFT_REG_1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: []byte{p}},
	}
}

// flags matches packets that have none of some TCP flags, or any of them.
func flags(mask byte, op expr.CmpOp) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: unix.NFT_REG_1, Base: expr.PayloadBaseTransportHeader, Offset: tcpFlagsAt, Len: 1},
		&expr.Bitwise{SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1, Len: 1, Mask: []byte{mask}, Xor: []byte{0}},
		&expr.Cmp{Op: op, Register: unix.NFT_REG_1, Data: []byte{0}},
	}
}

// state matches packets whose connection is in one.
func state(bit uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: unix.NFT_REG_1},
		&expr.Bitwise{
			SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(bit), Xor: make([]byte, 4),
		},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: unix.NFT_REG_1, Data: make([]byte, 4)},
	}
}

// verdict ends a rule.
func verdict(kind expr.VerdictKind, chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: kind, Chain: chain}}
}
