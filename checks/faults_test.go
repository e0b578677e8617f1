package checks

import "time"

// faults are what each alert is for: the series of a fault, mostly well for the first ten scrapes, and when it is told.
var faults = []struct {
	alert  string
	series string
	after  time.Duration
	want   string // the summary
}{
	{
		"StarlingNoOwner", `
  starling_addresses_without_owner{namespace="s",pod="a"} 0x9 2x60
  starling_addresses_without_owner{namespace="s",pod="b"} 0x9 2x60`,
		50*time.Second + time.Minute, "2 addresses are announced by nobody",
	},
	{
		"StarlingTwoAnswers", `
  starling_conflicts{namespace="s",pod="a",kind="stranger"} 0x9 1x60
  starling_conflicts{namespace="s",pod="b",kind="stranger"} 0x80
  starling_conflicts{namespace="s",pod="a",kind="member"} 0x80`,
		50 * time.Second, "1 addresses are answered for by somebody else as well (stranger)",
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
		"StarlingPoolNearlyFull", `
  starling_allocator_addresses_total{namespace="s",pod="a",pool="lan"} 40x80
  starling_allocator_addresses_in_use_total{namespace="s",pod="a",pool="lan"} 36x9 37x60`,
		50*time.Second + time.Minute, "Pool lan is 92.5% full",
	},
	{
		"StarlingServicesWaiting", `
  starling_allocator_services_waiting{namespace="s",pod="a",pool="lan"} 0x9 4x60
  starling_allocator_services_waiting{namespace="s",pod="b",pool="lan"} 0x9 4x60
  starling_allocator_services_waiting{namespace="s",pod="b",pool="lab"} 0x80`,
		50 * time.Second, "4 Services wait for an address of pool lan",
	},
	{
		"StarlingPoolOverlapsNodes", `
  starling_allocator_addresses_of_nodes{namespace="s",pod="a",pool="lan"} 0x9 1x60`,
		50 * time.Second, "Pool lan contains 1 addresses of nodes",
	},
	{
		"StarlingConfigRejected", `
  starling_config_last_reload_successful{namespace="s",pod="a",node="n1"} 1x80
  starling_config_last_reload_successful{namespace="s",pod="b",node="n2"} 1x9 0x60`,
		50 * time.Second, "The configuration has a mistake on n2",
	},
	{
		"StarlingConfigDiffers", `
  starling_members_with_other_config{namespace="s",pod="a"} 0x9 1x60
  starling_members_with_other_config{namespace="s",pod="b"} 0x9 2x60`,
		50*time.Second + 3*time.Minute, "Speakers have different configurations",
	},
	{
		"StarlingMemberLost", `
  starling_mesh_members{namespace="s",pod="a",state="dead"} 0x9 1x60
  starling_mesh_members{namespace="s",pod="a",state="left"} 1x80`,
		50 * time.Second, "1 speakers died in the last minutes",
	},
	{
		"StarlingSpeakerMissing", `
  starling_watcher_nodes{namespace="s",pod="a"} 5x400
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
  starling_members_on_wire{namespace="s",pod="a"} 0x9 1x60`,
		50 * time.Second, "Gossip between speakers is blocked",
	},
	{
		"StarlingGossipBlocked", `
  starling_mesh_trouble{namespace="s",pod="a",reason="udp",peer="n2"} _x9 1x60`,
		45 * time.Second, "Gossip between speakers is blocked",
	},
	{
		"StarlingDown", `
  up{job="starling",node="n1"} 1x9 0x60
  up{job="other",node="n1"} 0x80`,
		50*time.Second + time.Minute, "The speaker on n1 cannot be scraped",
	},
	{
		"StarlingNotReady", `
  starling_ready{namespace="s",node="n1"} 1x9 0x60`,
		50*time.Second + 2*time.Minute, "The speaker on n1 may not own addresses",
	},
	{
		"StarlingOutOfTouch", `
  starling_watcher_contact_age_seconds{namespace="s",node="n1"} 0x9 0+5x60`,
		50*time.Second + 65*time.Second + time.Minute, "The speaker on n1 has not heard the API server for 2m 5s",
	},
	{
		"StarlingProblem", `
  starling_problems{namespace="s",node="n1"} 0x9 3x400`,
		50*time.Second + 10*time.Minute, "The speaker on n1 tells 3 problems",
	},
}
