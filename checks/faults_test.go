package checks

import "time"

// faults are what each alert is for: the series of a fault, mostly well for the first ten scrapes,
// and when it is reported.
var faults = []struct {
	alert  string
	series string
	after  time.Duration
	want   string // the summary
}{
	{
		"StarlingNoOwner", `
  starling_conditions{namespace="s",pod="a",code="no-endpoint",severity="warning"} 0x9 2x60
  starling_conditions{namespace="s",pod="b",code="no-endpoint",severity="warning"} 0x9 2x60
  starling_conditions{namespace="s",pod="b",code="no-local-endpoint",severity="warning"} 0x80`,
		50*time.Second + time.Minute, "Addresses are announced by no node: no-endpoint",
	},
	{
		"StarlingNoReadyNode", `
  starling_conditions{namespace="s",pod="a",code="all-nodes-excluded",severity="error"} 0x9 1x60`,
		50*time.Second + time.Minute, "No node announces addresses: all-nodes-excluded",
	},
	{
		"StarlingTwoAnswers", `
  starling_conditions{namespace="s",pod="a",code="address-taken"} 0x9 1x60
  starling_conditions{namespace="s",pod="b",code="address-taken"} 0x9 2x60
  starling_conditions{namespace="s",pod="a",code="address-disputed"} 0x80`,
		50 * time.Second, "3 addresses are answered for by somebody else as well (address-taken)",
	},
	{
		// All see it.
		"StarlingTwoAnswers", `
  starling_conditions{namespace="s",pod="a",code="address-of-node"} 0x9 1x60
  starling_conditions{namespace="s",pod="b",code="address-of-node"} 0x9 1x60`,
		50 * time.Second, "1 addresses are answered for by somebody else as well (address-of-node)",
	},
	{
		"StarlingViewsDiffer", `
  starling_addresses{namespace="s",pod="a"} 3x80
  starling_owned_addresses{namespace="s",pod="a"} 2x80
  starling_owned_addresses{namespace="s",pod="b"} 1x9 2x60`,
		50*time.Second + 30*time.Second, "More addresses have an owner than there are",
	},
	{
		// All three addresses move on each of eight scrapes.
		"StarlingFlapping", `
  starling_addresses{namespace="s",pod="a"} 3x80
  starling_ownership_changes_total{namespace="s",pod="a",reason="new"} 100x80
  starling_ownership_changes_total{namespace="s",pod="a",reason="moved"} 0x19 0+3x8 24x60`,
		135 * time.Second, "Addresses move again and again",
	},
	{
		// One of them dies and returns three times.
		"StarlingFlapping", `
  starling_mesh_members{namespace="s",pod="a",state="dead"} 0x9 1x5 0x5 1x5 0x5 1x5 0x60`,
		50*time.Second + 150*time.Second, "Addresses move again and again",
	},
	{
		"StarlingAbsenceMoved", `
  starling_member_absences_moved_total{namespace="s",pod="a",reason="late"} 0x9 2x60
  starling_member_absences_moved_total{namespace="s",pod="b",reason="late"} 0x9 2x60
  starling_member_absences_moved_total{namespace="s",pod="a",reason="lost"} 3x80`,
		50 * time.Second, "Addresses moved because a speaker was away (late)",
	},
	{
		"StarlingPoolNearlyFull", `
  starling_pool_addresses{namespace="s",pod="a",pool="lan",family="IPv4"} 40x80
  starling_pool_addresses_free{namespace="s",pod="a",pool="lan",family="IPv4"} 5x9 3x60
  starling_pool_addresses{namespace="s",pod="a",pool="lan",family="IPv6"} 256x80
  starling_pool_addresses_free{namespace="s",pod="a",pool="lan",family="IPv6"} 256x80
  starling_pool_addresses{namespace="s",pod="a",pool="one",family="IPv4"} 1x80
  starling_pool_addresses_free{namespace="s",pod="a",pool="one",family="IPv4"} 0x80`,
		50*time.Second + time.Minute, "Pool lan is 92.5% full of IPv4",
	},
	{
		"StarlingServicesWaiting", `
  starling_services_waiting{namespace="s",pod="a",pool="lan",code="pool-full"} 0x9 4x60
  starling_services_waiting{namespace="s",pod="b",pool="lan",code="pool-full"} 0x9 4x60
  starling_services_waiting{namespace="s",pod="b",pool="lan",code="address-held"} 7x80
  starling_services_waiting{namespace="s",pod="b",pool="lab",code="pool-full"} 0x80`,
		50 * time.Second, "4 Services wait for an address of pool lan: pool-full",
	},
	{
		"StarlingServicesWaiting", `
  starling_services_waiting{namespace="s",pod="a",pool="",code="no-pool"} 0x9 2x60
  starling_services_waiting{namespace="s",pod="a",pool="",code="pool-unknown"} 7x80`,
		50 * time.Second, "2 Services wait for an address: no-pool",
	},
	{
		"StarlingServiceRefused", `
  starling_conditions{namespace="s",pod="a",code="pool-unknown",severity="warning"} 0x9 2x400
  starling_conditions{namespace="s",pod="b",code="pool-unknown",severity="warning"} 0x9 2x400`,
		50*time.Second + 10*time.Minute, "2 Services ask for what they cannot have: pool-unknown",
	},
	{
		"StarlingPoolOverlapsNodes", `
  starling_allocator_addresses_of_nodes{namespace="s",pod="a",pool="lan"} 0x9 1x60`,
		50 * time.Second, "Pool lan contains 1 addresses of nodes",
	},
	{
		"StarlingConfigRejected", `
  starling_conditions{namespace="s",pod="a",node="n1",code="config-rejected"} 0x80
  starling_conditions{namespace="s",pod="b",node="n2",code="config-rejected"} 0x9 1x60`,
		50 * time.Second, "The configuration or the gossip keys on n2 have a mistake (config-rejected)",
	},
	{
		"StarlingConfigDiffers", `
  starling_conditions{namespace="s",pod="a",code="config-differs"} 0x9 1x60
  starling_conditions{namespace="s",pod="b",code="config-differs"} 0x9 2x60`,
		50*time.Second + 3*time.Minute, "Speakers have different configurations",
	},
	{
		"StarlingKubeProxyMissing", `
  starling_kube_proxy_missing{namespace="s",pod="a",node="n1"} 0x9 1x60
  starling_kube_proxy_missing{namespace="s",pod="b",node="n2"} 0x80`,
		50*time.Second + time.Minute, "kube-proxy does not run on n1",
	},
	{
		"StarlingMemberLost", `
  starling_conditions{namespace="s",pod="a",code="node-lost"} 0x9 1x60
  starling_conditions{namespace="s",pod="a",code="speaker-stopped"} 1x80`,
		50 * time.Second, "1 nodes died in the last minutes",
	},
	{
		"StarlingSpeakerMissing", `
  starling_watcher_nodes{namespace="s",pod="a"} 5x400
  starling_nodes_not_selected{namespace="s",pod="a"} 0x200 1x200
  starling_members_on_wire{namespace="s",pod="a"} 1x400
  starling_mesh_members{namespace="s",pod="a",state="alive"} 4x9 2x400
  starling_mesh_members{namespace="s",pod="a",state="dead"} 2x400`,
		50*time.Second + 10*time.Minute, "2 nodes have no speaker",
	},
	{
		"StarlingKeyMismatch", `
  starling_mesh_trouble{namespace="s",pod="a",reason="key",peer="198.18.0.3"} _x9 1x60
  starling_mesh_trouble{namespace="s",pod="b",reason="key",peer="198.18.0.3"} _x9 1x60
  starling_mesh_trouble{namespace="s",pod="b",reason="label",peer="198.18.0.4"} 1x80`,
		45 * time.Second, "198.18.0.3 uses another gossip key",
	},
	{
		"StarlingGossipBlocked", `
  starling_conditions{namespace="s",pod="a",code="gossip-blocked"} 0x9 1x60`,
		50 * time.Second, "Gossip between speakers is blocked",
	},
	{
		"StarlingGossipBlocked", `
  starling_conditions{namespace="s",pod="a",code="gossip-udp-blocked"} 0x9 1x60`,
		50 * time.Second, "Gossip between speakers is blocked",
	},
	{
		"StarlingDown", `
  up{job="starling",node="n1"} 1x9 0x60
  up{job="other",node="n1"} 0x80`,
		50*time.Second + time.Minute, "The speaker on n1 cannot be scraped",
	},
	{
		"StarlingNotReady", `
  starling_conditions{namespace="s",node="n1",code="waiting-for-mesh"} 0x9 1x60`,
		50*time.Second + 2*time.Minute, "The speaker on n1 may not own addresses: waiting-for-mesh",
	},
	{
		"StarlingOutOfTouch", `
  starling_conditions{namespace="s",node="n1",code="api-unreachable"} 0x9 1x60`,
		50*time.Second + time.Minute, "The speaker on n1 does not reach the API server: api-unreachable",
	},
	{
		// Both see that it is so of one router.
		"StarlingNoRouterSession", `
  starling_conditions{namespace="s",pod="a",code="no-router-session",severity="error"} 0x9 1x60
  starling_conditions{namespace="s",pod="b",code="no-router-session",severity="error"} 0x9 1x60`,
		50*time.Second + time.Minute, "No node has a session with 1 of the BGP routers",
	},
	{
		"StarlingRouterSession", `
  starling_conditions{namespace="s",node="n1",code="router-silent",severity="warning"} 0x9 1x400
  starling_conditions{namespace="s",node="n2",code="router-silent",severity="warning"} 1x20 0x400`,
		50*time.Second + 5*time.Minute, "The speaker on n1 has no session with a BGP router: router-silent",
	},
	{
		// Three ends of n1; a router that restarts ends the one of n2 as well.
		"StarlingRouterFlaps", `
  starling_bgp_session_flaps_total{namespace="s",node="n1",router="tor1"} 0x9 1x5 2x5 3x200
  starling_bgp_session_flaps_total{namespace="s",node="n2",router="tor1"} 0x9 1x200
  starling_bgp_session_flaps_total{namespace="s",node="n1",router="tor2"} 0x9 1x200`,
		50*time.Second + 60*time.Second, "Sessions with BGP router tor1 come and go",
	},
	{
		"StarlingError", `
  starling_conditions{namespace="s",node="n1",code="no-interface",severity="error"} 0x9 1x60
  starling_conditions{namespace="s",node="n1",code="pool-full",severity="error"} 1x80`,
		50*time.Second + time.Minute, "The speaker on n1 reports an error: no-interface",
	},
	{
		"StarlingProblem", `
  starling_conditions{namespace="s",node="n1",code="proxy-arp",severity="warning"} 0x9 3x400
  starling_conditions{namespace="s",node="n1",code="node-cordoned",severity="information"} 1x400`,
		50*time.Second + 10*time.Minute, "The speaker on n1 reports a problem: proxy-arp",
	},
}
