package health

import (
	"slices"
	"strings"
	"time"
)

// Code is the name of one kind of condition, for programs. It stays the same in every release,
// whatever the words are.
type Code string

// Codes of conditions of the speaker's own node.
const (
	Starting            Code = "starting"
	WaitingForServices  Code = "waiting-for-services"
	WaitingForMesh      Code = "waiting-for-mesh"
	NoNode              Code = "no-node"
	WaitingForKubeProxy Code = "waiting-for-kube-proxy"
	NoNetRaw            Code = "no-net-raw"
	NoInterface         Code = "no-interface"
	InterfacesUnlisted  Code = "interfaces-unlisted"
	NoMulticast         Code = "no-multicast"
	APIUnreachable      Code = "api-unreachable"
	APIForbidden        Code = "api-forbidden"
	APIUnauthorized     Code = "api-unauthorized"
	APIFailing          Code = "api-failing"
	WriteForbidden      Code = "write-forbidden"
	WriteRefused        Code = "write-refused"
	ConfigRejected      Code = "config-rejected"
	ConfigMissing       Code = "config-missing"
	KeysRejected        Code = "gossip-keys-rejected"
	GossipPortInUse     Code = "gossip-port-in-use"
	KubeProxyMissing    Code = "kube-proxy-missing"
	NotForwarding       Code = "not-forwarding"
	KubeProxyUnhealthy  Code = "kube-proxy-unhealthy"
	NoInterfaceForPool  Code = "no-interface-for-pool"
	KernelHasAddress    Code = "kernel-has-address"
	KernelAnswers       Code = "kernel-answers"
	KernelAsks          Code = "kernel-asks"
	ProxyARP            Code = "proxy-arp"
	RouteWithoutLink    Code = "route-without-link"
	ConnectionsNotKept  Code = "connections-not-kept"
)

// Codes of conditions of other nodes, and between nodes.
const (
	NodeLost           Code = "node-lost"
	GossipBlocked      Code = "gossip-blocked"
	GossipDeclaredDead Code = "gossip-given-up"
	GossipUDPBlocked   Code = "gossip-udp-blocked"
	GossipNoFamily     Code = "gossip-no-family"
	GossipKeyMismatch  Code = "gossip-key-mismatch"
	OtherCluster       Code = "other-cluster"
	PeerNoSpeaker      Code = "peer-no-speaker"
	NodeNameTwice      Code = "node-name-twice"
	KernelSilent       Code = "kernel-silent"
	MACTwice           Code = "mac-twice"
	MachineTwice       Code = "machine-twice"
	ProblemsUnlisted   Code = "troubles-unlisted"
	ConfigDiffers      Code = "config-differs"
	NodeNotReady       Code = "node-not-ready"
	NodeOutOfTouch     Code = "node-out-of-touch"
	NodeCordoned       Code = "node-cordoned"
	NodeGoing          Code = "node-going"
	NodeReturning      Code = "node-returning"
	NetworkUnavailable Code = "network-unavailable"
	SpeakerStopped     Code = "speaker-stopped"
	SpeakerAway        Code = "speaker-away"
	SpeakerMissing     Code = "speaker-missing"
	MemberWithoutNode  Code = "member-without-node"
	NoSpeaker          Code = "no-speaker"
	ViewsDiffer        Code = "views-differ"
)

// Codes of conditions of addresses and pools.
const (
	AddressTaken           Code = "address-taken"
	AddressDisputed        Code = "address-disputed"
	AddressOfNode          Code = "address-of-node"
	NoReadyNode            Code = "no-ready-node"
	AllNodesExcluded       Code = "all-nodes-excluded"
	NoEligibleNode         Code = "no-eligible-node"
	NoServingEndpoint      Code = "no-serving-endpoint"
	NoEndpointSlice        Code = "no-endpoint-slice"
	NoEndpoint             Code = "no-endpoint"
	NoLocalEndpoint        Code = "no-local-endpoint"
	EndpointsOfOtherFamily Code = "endpoints-of-other-family"
	EndpointsWithoutNode   Code = "endpoints-without-node"
	PoolFull               Code = "pool-full"
	NamespaceLimit         Code = "namespace-limit"
	PoolNearlyFull         Code = "pool-nearly-full"
	PoolOverlapsNodes      Code = "pool-overlaps-nodes"
	LeasesOfOthers         Code = "leases-of-others"
	SharedAcross           Code = "shared-across-namespaces"
	NoPool                 Code = "no-pool"
	NoAutomaticPool        Code = "no-automatic-pool"
	FamilyMissing          Code = "family-missing"
	FamiliesApart          Code = "families-apart"
	PoolUnknown            Code = "pool-unknown"
	PoolRefuses            Code = "pool-refuses"
	UnknownAnnotation      Code = "unknown-annotation"
	AddressInNoPool        Code = "address-in-no-pool"
	AddressHeld            Code = "address-held"
	AddressReserved        Code = "address-reserved"
	RequestMalformed       Code = "request-malformed"
	RequestContradicts     Code = "request-contradicts"
	LeaseForeign           Code = "lease-foreign"
	LeaseNewer             Code = "lease-newer"
	StatusOverwritten      Code = "status-overwritten"
	AddressListed          Code = "address-in-external-ips"
)

// Codes of conditions of BGP routers.
const (
	NoRouterSession   Code = "no-router-session"
	RouterUnusable    Code = "router-unusable"
	RouterPassword    Code = "router-password"
	RouterUnreachable Code = "router-unreachable"
	RouterRefuses     Code = "router-refuses"
	RouterWrongAS     Code = "router-wrong-as"
	RouterRejects     Code = "router-rejects"
	RouterSilent      Code = "router-silent"
	RouterFlaps       Code = "router-flaps"
	RouterOnePath     Code = "router-one-path"
	RouterNoFamily    Code = "router-no-family"
	RouterNoBFD       Code = "router-no-bfd"
	NotRouted         Code = "not-routed"
)

// Rule is what goes with a code.
type Rule struct {
	Code     Code
	Severity Severity
	About    []Kind        // what its subjects may be
	Meaning  string        // what is the case, in one sentence
	Advice   string        // what to do about it; NAME stands for the subject; "" nothing, or the room says it
	After    time.Duration // how long it must last until it is shown
	Event    string        // reason of the Events that report it, "" none
	Hides    []Code        // of the same subject: it explains them
	Local    bool          // others cannot see it: only the node where it is knows of it
	Unready  bool          // it keeps the node from doing its whole job
}

// settled is how long must last what is often over sooner and then needs nobody, such as a speaker
// that starts and is heard on the wire before it has joined.
const settled = 3 * time.Second

// routerTime is how long a session with a router may take until somebody is to look.
const routerTime = 15 * time.Second

// kernelTime is how long the kernel of a node must be silent: one that never replied is asked again
// after ten seconds.
const kernelTime = 15 * time.Second

const (
	waitSecond = "wait a second"
	openGossip = "open the gossip port (7927, tcp and udp) between the nodes in both directions; `starling doctor` tests it"
	bringUp    = "bring the link up, or name the interface by --interface; `starling doctor` says of each why it is not used"
	applyRBAC  = "apply manifests/base/rbac.yaml again, and see that the pod uses the ServiceAccount starling"
	seeAPI     = "see whether the API server runs and this node reaches it; announcing goes on meanwhile"
	// onlyKnown ends the advice where something may serve the Service that is no endpoint.
	onlyKnown = "; starling announces an address only while it knows of an endpoint behind it. Where something else serves the Service, such as a gateway of the CNI, annotate it: starling-lb.io/endpoints: ignore"
	editAsk   = "correct the annotations of the Service; `starling pools` shows the pools"
)

// rules are all rules, in the order in which equally bad conditions are shown.
var rules = []Rule{
	{
		Code: NoNetRaw, Severity: Error, About: on(KindNode), Local: true, Unready: true, Meaning: "The speaker may not open a packet socket, so it cannot answer ARP and NDP.",
		Advice: "let the container have the capability NET_RAW, and the namespace be privileged (label pod-security.kubernetes.io/enforce)", Hides: []Code{NoInterface},
	},
	{Code: NoInterface, Severity: Error, About: on(KindNode), Local: true, Unready: true, Meaning: "The node has no interface to announce addresses on.", Advice: bringUp},
	{Code: NoMulticast, Severity: Error, About: on(KindNode), Local: true, Unready: true, Meaning: "The kernel refuses a multicast group, so neighbors cannot ask for IPv6 addresses there."},
	{
		Code: APIForbidden, Severity: Error, About: on(KindNode), Local: true, Unready: true, Meaning: "RBAC does not allow the speaker something that it needs.",
		Advice: applyRBAC,
	},
	{
		Code: APIUnauthorized, Severity: Error, About: on(KindNode), Local: true, Unready: true, Meaning: "The API server does not accept the speaker's credentials.",
		Advice: "see that the pod uses the ServiceAccount starling; restart it if its token was revoked",
	},
	{
		Code: APIUnreachable, Severity: Error, About: on(KindNode), Local: true, Unready: true, Meaning: "The API server does not answer. The speaker announces what it knows, and allocates nothing.",
		Advice: seeAPI, Hides: []Code{WaitingForServices},
	},
	{Code: APIFailing, Severity: Error, About: on(KindNode), Local: true, Unready: true, Meaning: "The API server answers with an error.", Advice: seeAPI, Hides: []Code{WaitingForServices}},
	{
		Code: WriteForbidden, Severity: Error, About: on(KindNode), Local: true, Meaning: "RBAC does not allow the speaker to write the status of a Service, or Events. It announces what it knows, and stays ready.",
		Advice: applyRBAC,
	},
	{
		Code: ConfigRejected, Severity: Error, About: on(KindNode), Local: true, Event: "ConfigRejected", Meaning: "The configuration has mistakes and is not in force.",
		Advice: "correct the ConfigMap or the file; what was in force before goes on until then",
	},
	{
		Code: KeysRejected, Severity: Error, About: on(KindNode), Local: true, After: settled, Event: "ConfigRejected", Meaning: "The gossip keys have a mistake and are not in force.",
		Advice: "correct the Secret starling-gossip or the file of --gossip-key-file",
	},
	{
		Code: GossipPortInUse, Severity: Error, About: on(KindNode), Local: true, Meaning: "Another program has the gossip port.",
		Advice: "end the other program, or give all speakers another port by --gossip-addr", Hides: []Code{WaitingForMesh},
	},
	{
		Code: NodeLost, Severity: Error, About: on(KindNode), After: settled, Event: "SpeakerLost", Meaning: "Neither gossip nor the wire reaches the speaker of the node.",
		Advice: "see whether the node is up, its link, and its speaker: `kubectl get nodes`, `kubectl -n starling-system get pods -o wide`", Hides: []Code{GossipBlocked, GossipUDPBlocked},
	},
	{
		Code: KubeProxyMissing, Severity: Error, About: on(KindNode), Event: "KubeProxyMissing", Meaning: "kube-proxy does not run on the node, although it did or other nodes have one. These announce first.",
		Advice: "see why kube-proxy does not run there; if the cluster is to do without one from now on, restart the speakers, or set --kube-proxy-health none", Hides: []Code{KubeProxyUnhealthy},
	},
	{
		Code: NotForwarding, Severity: Error, About: on(KindNode), Event: "NotForwarding", Meaning: "The node does not forward what comes for addresses of Services, as others have tested, though other nodes do. These announce first.",
		Advice: "see whether kube-proxy and the network plugin run on NAME and whether their rules are there: `nft list ruleset`, `iptables-save`; --forwarding-test=false ends the tests",
	},
	{
		Code: GossipKeyMismatch, Severity: Error, About: on(KindNode, KindAddress), Local: true, After: settled, Event: "GossipKeyMismatch", Meaning: "Gossip arrives that is encrypted with another key.",
		Advice: "compare the keys with `starling key status`: the node there has another --gossip-key-file, or an old copy of the Secret; restart its speaker", Hides: []Code{PeerNoSpeaker, GossipUDPBlocked},
	},
	{
		Code: AddressTaken, Severity: Error, About: on(KindAddress), Local: true, Event: "AddressConflict", Meaning: "A station that is no node answers for an address of a Service.",
		Advice: "find the machine with this hardware address and give it another address, or exclude the address from its pool",
	},
	{
		Code: AddressDisputed, Severity: Error, About: on(KindAddress), Local: true, Meaning: "Two nodes announce an address and neither yields.",
		Advice: "compare what both nodes say of it with `starling who NAME`, and restart the speaker that is wrong",
	},
	{
		Code: AddressOfNode, Severity: Error, About: on(KindAddress), Event: "AddressConflict", Meaning: "The address of a Service is also that of a node, whose kernel answers for it too.",
		Advice: "exclude it from its pool, or give the node another address",
	},
	{Code: RouteWithoutLink, Severity: Error, About: on(KindNode), Local: true, Meaning: "The node's kernel sends to a network through an interface without a link, while another interface announces addresses there. Clients get no answers."},
	{
		Code: PoolFull, Severity: Error, About: on(KindPool, KindService), Event: "AllocationFailed", Meaning: "Services wait for an address of a pool that has no free one.",
		Advice: "add addresses to the pool, or delete Services that need none; `starling pools` shows its use", Hides: []Code{PoolNearlyFull},
	},
	{
		Code: NoPool, Severity: Error, About: on(KindCluster, KindService), Event: "AllocationFailed", Meaning: "A Service asks for an address and no pool is configured.",
		Advice: "put your addresses into the ConfigMap starling",
	},
	{
		Code: NoReadyNode, Severity: Error, About: on(KindAddress), Event: "NoEligibleNode", Meaning: "No node announces the address, because none is ready.",
		Advice: "`starling status` says of each node why it is not ready",
	},
	{
		Code: AllNodesExcluded, Severity: Error, About: on(KindAddress), Event: "NoEligibleNode", Meaning: "No node announces the address, because all ready nodes are excluded by label, as those of a control plane are.",
		Advice: "let nodes announce: `kubectl label nodes NODE node.kubernetes.io/exclude-from-external-load-balancers-`, or start the speakers with --ignore-exclude-label",
	},
	{
		Code: NoRouterSession, Severity: Error, About: on(KindRouter), After: routerTime, Event: "RouterLost", Meaning: "No node has a session with a BGP router, so the router knows no way to addresses of Services.",
		Advice: "`starling doctor` says of each node why not",
	},
	{
		Code: RouterUnusable, Severity: Error, About: on(KindRouter), Local: true, Event: "RouterLost", Meaning: "The speaker of the node cannot begin a session with a BGP router.",
		Advice: "see the words: a source address must be the node's, and a password needs a kernel with TCP MD5 signatures",
	},
	{
		Code: RouterPassword, Severity: Error, About: on(KindRouter), Local: true, After: settled, Event: "RouterLost", Meaning: "The password for a BGP router cannot be read. Without one that was read before there is no session.",
		Advice: "see that the file or Secret is there, and that the speaker may read it: docs/bgp.md has the Role",
	},

	{
		Code: RouterUnreachable, Severity: Warning, About: on(KindRouter), Local: true, After: routerTime, Event: "RouterLost", Meaning: "The node reaches nothing at the address and port of a BGP router.",
		Advice: "see that the router is up, and that TCP port 179 passes between it and the node; with a password, that both have the same; with a router several hops away, that multihop is set",
	},
	{
		Code: RouterRefuses, Severity: Warning, About: on(KindRouter), Local: true, After: routerTime, Event: "RouterLost", Meaning: "A BGP router refuses the node's connection.",
		Advice: "see that BGP runs on the router, listens on this port, and has the node as a neighbor",
	},
	{
		Code: RouterWrongAS, Severity: Warning, About: on(KindRouter), Local: true, After: routerTime, Event: "RouterLost", Meaning: "A BGP router has another AS number than configured, or expects another one of the node.",
		Advice: "compare asn of the key bgp and of the peer with the router's own and its remote-as for the nodes",
	},
	{
		Code: RouterRejects, Severity: Warning, About: on(KindRouter), Local: true, After: routerTime, Event: "RouterLost", Meaning: "A BGP router ends the session with the node by a notification.",
		Advice: "see the words and the router's log: mostly it has no neighbor of the node's address, or takes no more of them",
	},
	{
		Code: RouterSilent, Severity: Warning, About: on(KindRouter), Local: true, After: routerTime, Event: "RouterLost", Meaning: "A BGP router takes the connection and says nothing, or fell silent.",
		Advice: "see the router's log, its load, and the link; a firewall that forgets connections does the same",
	},
	{
		Code: RouterFlaps, Severity: Warning, About: on(KindRouter), Local: true, Event: "RouterLost", Meaning: "The session with a BGP router came and went too often and is held back for a while.",
		Advice: "see the router's log, and the link between both; the words say how the last session ended",
	},
	{
		Code: RouterOnePath, Severity: Warning, About: on(KindRouter), Local: true, Meaning: "A BGP router takes one path for each prefix only, though few speakers are to announce all nodes to it. It uses one node at a time.",
		Advice: "let the router receive several paths (add-path, RFC 7911), or set sessions: each",
	},
	{
		Code: RouterNoFamily, Severity: Warning, About: on(KindRouter), Local: true, Meaning: "A BGP router takes no paths of an IP family that addresses of Services have.",
		Advice: "activate the family for the nodes on the router",
	},
	{
		Code: RouterNoBFD, Severity: Warning, About: on(KindRouter), Local: true, After: settled, Meaning: "BFD is configured for a BGP router and does not run beside the node's session. Either end notices the silence of the other after the hold time only.",
		Advice: "see that the router has BFD for the node, that UDP port 3784 (4784 with multihop) passes both ways, and that nothing else listens there on the node: `ss -lunp`",
	},
	{
		Code: GossipBlocked, Severity: Warning, About: on(KindNode), Local: true, After: settled, Event: "GossipBlocked", Meaning: "Gossip does not reach the node, though its speaker answers on the wire.",
		Advice: openGossip, Hides: []Code{GossipUDPBlocked},
	},
	{
		Code: GossipUDPBlocked, Severity: Warning, About: on(KindNode), Local: true, After: settled, Event: "GossipBlocked", Meaning: "The node answers gossip by TCP but not by UDP.",
		Advice: "open the gossip port (7927) for udp too",
	},
	{
		Code: GossipNoFamily, Severity: Warning, About: on(KindNode), Local: true, After: settled, Event: "GossipBlocked", Meaning: "The node has no address of an IP family that this node's gossip uses.",
		Advice: "give both nodes an InternalIP of one family (kubelet --node-ip), or set --gossip-addr on both", Hides: []Code{GossipBlocked, GossipUDPBlocked},
	},
	{
		Code: OtherCluster, Severity: Warning, About: on(KindNode, KindAddress), Local: true, After: settled, Event: "OtherCluster", Meaning: "Gossip of another cluster arrives.",
		Advice: "give each cluster a gossip port of its own (--gossip-addr), or a network of its own", Hides: []Code{PeerNoSpeaker},
	},
	{
		Code: PeerNoSpeaker, Severity: Warning, About: on(KindNode, KindAddress), Local: true, Meaning: "Something takes connections at a gossip port and does not answer as a speaker of this cluster.",
		Advice: "see what listens on the gossip port there",
	},
	{Code: NodeNameTwice, Severity: Warning, About: on(KindNode), Local: true, Meaning: "Two speakers have the same node name.", Advice: "give each node a name of its own (--node-name)"},
	{
		Code: KernelSilent, Severity: Warning, About: on(KindNode), Local: true, After: kernelTime, Meaning: "The kernel of the node replies to no ARP request or neighbor solicitation of a node that watches it, though its speaker lives. So gossip alone notices its death, and its addresses move when its speaker is away.",
		Advice: "see on NAME why its kernel does not reply to other nodes: `arptables -L`, `nft list ruleset`, `sysctl -a --pattern arp_ignore`; else see whether a switch limits or checks ARP",
	},
	{
		Code: MACTwice, Severity: Warning, About: on(KindCluster), After: settled, Meaning: "Interfaces of two nodes have the same MAC, as those of cloned virtual machines have. Where they are on one network, neither is reached reliably.",
		Advice: "give each interface a MAC of its own, in the settings of the virtual machine, and restart its node",
	},
	{
		Code: MachineTwice, Severity: Warning, About: on(KindCluster), After: settled, Meaning: "Two nodes have the same machine identity (/etc/machine-id), as cloned virtual machines have. DHCP clients and systemd make addresses and MACs from it, so the two may get the same.",
		Advice: "give one of them another: remove /etc/machine-id there, run `systemd-machine-id-setup`, and restart the node",
	},
	{Code: ProblemsUnlisted, Severity: Warning, About: on(KindNode), Local: true, Meaning: "More peers have problems with gossip than are remembered."},
	{
		Code: ConfigDiffers, Severity: Warning, About: on(KindCluster, KindNode), Meaning: "Some nodes have other pools or another class in force than this one. Until all agree, bound addresses stay as they are.",
		Advice: "compare --config, --pool and --lb-class of the nodes, and look at their conditions",
	},
	{
		Code: SpeakerMissing, Severity: Warning, About: on(KindNode), After: time.Minute, Meaning: "No speaker of the node was ever heard, though the DaemonSet selects the node.",
		Advice: "see the node and its pod: `kubectl get nodes`, `kubectl -n starling-system get pods -o wide`",
	},
	{
		Code: MemberWithoutNode, Severity: Warning, About: on(KindCluster), After: settled, Meaning: "A member of the gossip has a name that no Node of Kubernetes has. It has the gossip key, and is refused.",
		Advice: "if it is a node of yours, give it the name of its Node (--node-name); else somebody has the key: `starling key rotate`",
	},
	{Code: NodeNotReady, Severity: Warning, About: on(KindNode), Meaning: "The speaker of the node says that it is not ready.", Advice: "ask it why: `starling status --node NAME`"},
	{Code: NodeOutOfTouch, Severity: Warning, About: on(KindNode), Meaning: "The speaker of the node has lost the API server: it announces, but learns of no change.", Advice: "see whether that node reaches the API server"},
	{Code: NetworkUnavailable, Severity: Warning, About: on(KindNode), Meaning: "Kubernetes says that the network of the node is unavailable.", Advice: "see to the node's network plugin"},
	{Code: KubeProxyUnhealthy, Severity: Warning, About: on(KindNode), Local: true, Meaning: "kube-proxy of the node is not healthy.", Advice: "see the log of kube-proxy on this node"},
	{Code: Starting, Severity: Warning, About: on(KindNode), Local: true, Unready: true, Meaning: "The speaker is starting.", Advice: waitSecond},
	{Code: InterfacesUnlisted, Severity: Warning, About: on(KindNode), Local: true, Unready: true, Meaning: "The speaker has not listed the node's interfaces yet.", Advice: waitSecond, Hides: []Code{NoInterface}},
	{Code: WaitingForServices, Severity: Warning, About: on(KindNode), Local: true, Unready: true, Meaning: "The speaker has not received the Services from the API server yet.", Advice: "see whether the API server runs and this node reaches it"},
	{
		Code: NoNode, Severity: Warning, About: on(KindNode), Local: true, Unready: true, Meaning: "Kubernetes has no Node of the speaker's name, so others give it nothing.",
		Advice: "start the speaker with the name of its Node (--node-name)",
	},
	{
		Code: WaitingForMesh, Severity: Warning, About: on(KindNode), Local: true, Unready: true, Meaning: "The speaker has not found its place in the mesh yet.",
		Advice: "wait some seconds; if it lasts, open the gossip port (7927, tcp and udp) between the nodes",
	},
	{
		Code: WaitingForKubeProxy, Severity: Warning, About: on(KindNode), Local: true, Unready: true, Meaning: "The node has no kube-proxy that forwards, and others have one.",
		Advice: "see the log of kube-proxy on this node",
	},
	{
		Code: NoInterfaceForPool, Severity: Warning, About: on(KindPool), Local: true, Meaning: "The node owns addresses of a pool and uses none of the pool's interfaces.",
		Advice: "let the pool's nodeSelectors choose nodes that have one",
	},
	{Code: KernelHasAddress, Severity: Warning, About: on(KindNode), Local: true, Meaning: "The address of a Service is on an interface of the node, whose kernel answers for it, whichever node announces it."},
	{Code: KernelAnswers, Severity: Warning, About: on(KindNode), Local: true, Meaning: "The kernel of the node answers for addresses of Services that are on another interface, such as kube-ipvs0."},
	{
		Code: ConnectionsNotKept, Severity: Warning, About: on(KindNode), Local: true, Meaning: "The speaker may not write rules of nftables, or the kernel does not take them, so TCP connections end when an address moves to the node.",
		Advice: "let the container have the capability NET_ADMIN, and see that the kernel has nf_tables, nft_ct and nft_dup_ipv4 or nft_dup_ipv6; or leave --keep-connections out",
	},
	{Code: KernelAsks, Severity: Warning, About: on(KindNode), Local: true, Meaning: "The kernel of the node asks its neighbors in the name of addresses of Services."},
	{Code: ProxyARP, Severity: Warning, About: on(KindNode), Local: true, Meaning: "Proxy ARP of the node's kernel answers for addresses of Services."},
	{
		Code: ConfigMissing, Severity: Warning, About: on(KindNode), Local: true, After: settled, Event: "ConfigMissing", Meaning: "The ConfigMap of the configuration does not exist.",
		Advice: "write your addresses into a ConfigMap and apply it, as docs/quick-start.md shows; an empty list (pools: []) is for no pools",
	},
	{
		Code: ViewsDiffer, Severity: Warning, About: on(KindNode), Local: true, Meaning: "The speaker of the node sees addresses at other announcers than this one.",
		Advice: "compare both views (`starling status --node NAME`): which one has old news, or does not reach the others?",
	},
	{
		Code: PoolOverlapsNodes, Severity: Warning, About: on(KindPool), After: settled, Event: "PoolOverlapsNodes", Meaning: "A pool contains addresses of nodes. They are never handed out.",
		Advice: "exclude them, or check that the range is free",
	},
	{
		Code: WriteRefused, Severity: Warning, About: on(KindNode), Local: true, Meaning: "The API server does not take what the speaker writes into the status of a Service, or Events, as when a webhook or a policy forbids it.",
		Advice: "see why: the words name the webhook or policy, which should let the ServiceAccount starling write services/status and events",
	},
	{Code: PoolNearlyFull, Severity: Warning, About: on(KindPool), Meaning: "At least 90 % of a pool's addresses of one family are used or reserved.", Advice: "add addresses to the pool before a Service has to wait"},
	{
		Code: LeasesOfOthers, Severity: Warning, About: on(KindCluster), Meaning: "Services whose leases another installation wrote show addresses of our pools.",
		Advice: "if that installation is gone, remove the annotation starling-lb.io/lease there",
	},
	{
		Code: SharedAcross, Severity: Warning, About: on(KindCluster), Meaning: "Services of different namespaces share an address, which its pool does not allow. They keep it, but none of them gets it again once it was made anew.",
		Advice: "set shareAcrossNamespaces: true in that pool, or give the Services addresses of their own",
	},
	{Code: NoEligibleNode, Severity: Warning, About: on(KindAddress), Event: "NoEligibleNode", Meaning: "No node announces the address, because no ready node may.", Advice: "`starling who NAME` says why not for each node"},
	{
		Code: NoEndpointSlice, Severity: Warning, About: on(KindAddress), Event: "NoEligibleNode", Meaning: "No node announces the address, because no EndpointSlice belongs to its Service.",
		Advice: "give the Service a selector, or an EndpointSlice with the label kubernetes.io/service-name" + onlyKnown,
	},
	{
		Code: NoEndpoint, Severity: Warning, About: on(KindAddress), Event: "NoEligibleNode", Meaning: "No node announces the address, because the EndpointSlices of its Service are empty.",
		Advice: "see whether pods match the selector of the Service, and run: `kubectl get pods`" + onlyKnown,
	},
	{
		Code: NoServingEndpoint, Severity: Warning, About: on(KindAddress), Event: "NoEligibleNode", Meaning: "No node announces the address, because no endpoint of its Service is ready.",
		Advice: "see why the pods of the Service are not ready: `kubectl get pods`",
	},
	{
		Code: EndpointsOfOtherFamily, Severity: Warning, About: on(KindAddress), Event: "NoEligibleNode", Meaning: "No node announces the address, because all endpoints of its Service are of the other address family.",
		Advice: "let the pods have addresses of both families, or take the family without endpoints out of spec.ipFamilies of the Service",
	},
	{
		Code: EndpointsWithoutNode, Severity: Warning, About: on(KindAddress), Event: "NoEligibleNode", Meaning: "No node announces the address, because its Service has externalTrafficPolicy Local and its endpoints name no node.",
		Advice: "set externalTrafficPolicy: Cluster, or have a nodeName on each endpoint: with Local only nodes that have an endpoint announce" + onlyKnown,
	},
	{Code: NotRouted, Severity: Warning, About: on(KindAddress), After: settled, Meaning: "No BGP router learns of the address, though its pool announces it by BGP.", Advice: "`starling who NAME` says why not for each node"},
	{
		Code: NoLocalEndpoint, Severity: Warning, About: on(KindAddress), Event: "NoEligibleNode", Meaning: "No node announces the address, because its Service has externalTrafficPolicy Local and no ready node has an endpoint of it.",
		Advice: "`starling who NAME` says why not for each node",
	},
	{Code: NoAutomaticPool, Severity: Warning, About: on(KindService), Event: "AllocationFailed", Meaning: "A Service asks for no pool, and every pool has autoAssign or allocate false.", Advice: "ask for a pool with autoAssign: false by the annotation starling-lb.io/address-pool; for those with allocate: false, see why the other allocator gives no address"},
	{
		Code: FamilyMissing, Severity: Warning, About: on(KindService), Event: "AllocationFailed", Meaning: "No pool that the Service may use has a range of the family that it needs.",
		Advice: "add a range of that family to the pool, or change spec.ipFamilies of the Service",
	},
	{
		Code: FamiliesApart, Severity: Warning, About: on(KindService), Event: "AllocationFailed", Meaning: "A Service needs both families and no single pool has both free.",
		Advice: "give one pool ranges of both families, or set spec.ipFamilyPolicy to PreferDualStack",
	},
	{
		Code: NamespaceLimit, Severity: Warning, About: on(KindService), Event: "AllocationFailed", Meaning: "The Services of the namespace have as many addresses of the pool as its maxPerNamespace allows.",
		Advice: "delete Services that are not needed, let some share an address by the annotation starling-lb.io/allow-shared-ip, or raise maxPerNamespace of the pool",
	},
	{Code: PoolUnknown, Severity: Warning, About: on(KindService), Event: "AllocationFailed", Meaning: "A Service asks for a pool that does not exist.", Advice: editAsk},
	{Code: UnknownAnnotation, Severity: Warning, About: on(KindService), Event: "UnknownAnnotation", Meaning: "A Service has an annotation that looks like one of starling's and means nothing."},
	{
		Code: PoolRefuses, Severity: Warning, About: on(KindService), Event: "AllocationFailed", Meaning: "The pool is not for this Service: its namespaces or selectors leave it out.",
		Advice: "ask for another pool, or change the pool's namespaces or selectors; `starling pools` shows them",
	},
	{Code: AddressInNoPool, Severity: Warning, About: on(KindService), Event: "AllocationFailed", Meaning: "A Service asks for an address that no pool hands out.", Advice: "ask for an address of a pool; `starling pools` shows them"},
	{
		Code: AddressHeld, Severity: Warning, About: on(KindService), Event: "AllocationFailed", Meaning: "A Service asks for an address that another Service has.",
		Advice: "ask for another address, or let both share it by the annotation starling-lb.io/allow-shared-ip",
	},
	{Code: AddressReserved, Severity: Warning, About: on(KindService), Event: "AllocationFailed", Meaning: "A Service asks for an address that something else uses.", Advice: "ask for another address"},
	{Code: RequestMalformed, Severity: Warning, About: on(KindService), Event: "AllocationFailed", Meaning: "What a Service asks for cannot be understood.", Advice: editAsk},
	{Code: RequestContradicts, Severity: Warning, About: on(KindService), Event: "AllocationFailed", Meaning: "A Service asks for an address and for a pool that does not contain it.", Advice: "ask for one of them"},
	{
		Code: LeaseForeign, Severity: Warning, About: on(KindService), Event: "AllocationFailed", Meaning: "The lease of a Service belongs to another installation.",
		Advice: "remove the annotation starling-lb.io/lease of the Service if that installation is gone",
	},
	{
		Code: AddressListed, Severity: Warning, About: on(KindService), Event: "AddressConflict", Meaning: "A Service has the address of another one in spec.externalIPs, so that nodes may forward it there.",
		Advice: "take the address out of spec.externalIPs, or give the other Service another one",
	},
	{
		Code: StatusOverwritten, Severity: Warning, About: on(KindService), Event: "StatusOverwritten", Meaning: "Something else writes to status.loadBalancer.ingress of a Service that has its address. Speakers correct that, at growing pauses.",
		Advice: "let one load balancer serve the Service: stop the other one, or tell them apart by spec.loadBalancerClass",
	},
	{Code: LeaseNewer, Severity: Warning, About: on(KindService), Event: "AllocationFailed", Meaning: "The lease of a Service was written by a later release.", Advice: "update the speakers of all nodes"},

	{Code: GossipDeclaredDead, Severity: Information, About: on(KindNode), Local: true, After: settled, Event: "GossipBlocked", Meaning: "Gossip has just declared the node dead; it has a moment to refute that.", Advice: waitSecond},
	{Code: NodeCordoned, Severity: Information, About: on(KindNode), Meaning: "The node is cordoned. It keeps its addresses, and hands them over when its speaker ends.", Advice: "`kubectl uncordon NAME`, when it may work again"},
	{Code: NodeGoing, Severity: Information, About: on(KindNode), Meaning: "A condition of the node says that it is drained, shut down or maintained, so others go first."},
	{
		Code: NodeReturning, Severity: Information, About: on(KindNode), Meaning: "The node came back, and other nodes go first for its --hold-down.",
		Advice: "nothing; to move its addresses back at once, which ends the connections through them: `starling return NAME`",
	},
	{Code: SpeakerStopped, Severity: Information, About: on(KindNode), Meaning: "The speaker of the node was stopped properly."},
	{Code: SpeakerAway, Severity: Information, About: on(KindNode), Event: "SpeakerAway", Meaning: "The speaker of the node is being restarted, or has crashed, and its host is there. The node keeps its addresses for --restart-grace, and other nodes answer for them."},
	{Code: NoSpeaker, Severity: Information, About: on(KindNode), Meaning: "The node runs no speaker, mostly because the DaemonSet does not select it."},
}

func on(kinds ...Kind) []Kind { return kinds }

// Rules returns all rules, in the order in which equally bad conditions are shown.
func Rules() []Rule { return slices.Clone(rules) }

// places say where the rule of a code is.
var places = func() map[Code]int {
	at := make(map[Code]int, len(rules))
	for i, r := range rules {
		at[r.Code] = i
	}
	return at
}()

// Rule returns what goes with the code: a warning with no advice, if there is no such code, as one
// of a later release.
func (c Code) Rule() Rule {
	if i, ok := places[c]; ok {
		return rules[i]
	}
	return Rule{Code: c, Severity: Warning}
}

// index is the place of the rule, the last for a code that is not known.
func (c Code) index() int {
	if i, ok := places[c]; ok {
		return i
	}
	return len(rules)
}

// advice is the rule's, for a subject.
func (r Rule) advice(about Subject) string {
	name := about.Name
	if name == "" {
		name = strings.ToUpper(string(about.Kind))
	}
	return strings.ReplaceAll(r.Advice, "NAME", name)
}
