package manifests

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/starling-lb/starling/lease"
)

func TestObjects(t *testing.T) {
	t.Parallel()
	var got []string
	for _, o := range objects(t) {
		got = append(got, o.id)
	}
	// In this order a user finds the pool at once, and the namespace exists before its contents.
	want := []string{
		"Namespace starling-system",
		"ConfigMap starling-system/starling",
		"ServiceAccount starling-system/starling",
		"ClusterRole starling",
		"ClusterRoleBinding starling",
		"Role starling-system/starling",
		"RoleBinding starling-system/starling",
		"DaemonSet starling-system/starling",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

func TestNamespaceIsPrivileged(t *testing.T) {
	t.Parallel()
	ns := find[*corev1.Namespace](t)
	want := map[string]string{
		"app.kubernetes.io/name":             "starling",
		"pod-security.kubernetes.io/enforce": "privileged",
		"pod-security.kubernetes.io/audit":   "privileged",
		"pod-security.kubernetes.io/warn":    "privileged",
	}
	if diff := cmp.Diff(want, ns.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
}

// The only file that users edit ships an empty list and an example that works when it is uncommented.
func TestConfig(t *testing.T) {
	t.Parallel()
	text := find[*corev1.ConfigMap](t).Data["starling.yaml"]
	tests := []struct {
		name string
		text string
		want []lease.PoolInfo
	}{
		{"shipped", text, nil},
		{"example", uncomment(text), []lease.PoolInfo{{
			Name:   "default",
			Ranges: []string{"192.168.1.240-192.168.1.250", "192.168.2.0/28", "2001:db8:0:1::1:0/112"},
			Size:   11 + 16 + 65536, AutoAssign: true,
		}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			config, err := lease.ParseConfig([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			pools, err := lease.NewPools(config.Pools)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, pools.List(), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("pools (-want +got):\n%s", diff)
			}
		})
	}
}

// uncomment is the commented example of the configuration.
func uncomment(text string) string {
	_, example, _ := strings.Cut(text, "# pools:\n")
	out := []string{"pools:"}
	for line := range strings.Lines(example) {
		if rest, ok := strings.CutPrefix(line, "# "); ok {
			out = append(out, strings.TrimRight(rest, "\n"))
		}
	}
	return strings.Join(out, "\n")
}

func TestPodSpec(t *testing.T) {
	t.Parallel()
	ds := find[*appsv1.DaemonSet](t)
	one := intstr.FromInt32(1)
	wantUpdate := appsv1.DaemonSetUpdateStrategy{
		Type:          appsv1.RollingUpdateDaemonSetStrategyType,
		RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxUnavailable: &one},
	}
	if diff := cmp.Diff(wantUpdate, ds.Spec.UpdateStrategy); diff != "" {
		t.Errorf("update strategy (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(ds.Spec.Selector.MatchLabels, ds.Spec.Template.Labels); diff != "" {
		t.Errorf("the selector does not select the pods (-selector +pods):\n%s", diff)
	}
	got := ds.Spec.Template.Spec
	got.Containers, got.Volumes = nil, nil // below
	want := corev1.PodSpec{
		ServiceAccountName:            "starling",
		PriorityClassName:             "system-node-critical",
		Tolerations:                   []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
		NodeSelector:                  map[string]string{"kubernetes.io/os": "linux"},
		HostNetwork:                   true,
		DNSPolicy:                     corev1.DNSDefault,
		EnableServiceLinks:            new(false),
		TerminationGracePeriodSeconds: new(int64(10)),
		SecurityContext: &corev1.PodSecurityContext{
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pod (-want +got):\n%s", diff)
	}
}

func TestContainer(t *testing.T) {
	t.Parallel()
	spec := find[*appsv1.DaemonSet](t).Spec.Template.Spec
	if len(spec.Containers) != 1 || len(spec.InitContainers) != 0 {
		t.Fatalf("%d containers and %d init containers, want one speaker", len(spec.Containers), len(spec.InitContainers))
	}
	c := spec.Containers[0]
	if c.Name != "starling" || !strings.HasPrefix(c.Image, "ghcr.io/starling-lb/starling:v") {
		t.Errorf("container %q of image %q", c.Name, c.Image)
	}
	want := &corev1.SecurityContext{
		RunAsUser:                new(int64(0)),
		AllowPrivilegeEscalation: new(false),
		ReadOnlyRootFilesystem:   new(true),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}, Add: []corev1.Capability{"NET_RAW"}},
	}
	if diff := cmp.Diff(want, c.SecurityContext); diff != "" {
		t.Errorf("security context (-want +got):\n%s", diff)
	}
	if _, limited := c.Resources.Limits[corev1.ResourceCPU]; limited {
		t.Error("a CPU limit throttles the answers")
	}
	for _, r := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		if _, ok := c.Resources.Requests[r]; !ok {
			t.Errorf("no request of %s", r)
		}
	}
	wantArgs := []string{"run", "--config=/etc/starling/starling.yaml", "--state-dir=/var/lib/starling"}
	if diff := cmp.Diff(wantArgs, c.Args); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
}

func TestMemoryLimits(t *testing.T) {
	t.Parallel()
	c := find[*appsv1.DaemonSet](t).Spec.Template.Spec.Containers[0]
	limit := c.Resources.Limits.Memory().Value() >> 20
	var soft int64
	for _, e := range c.Env {
		if e.Name == "GOMEMLIMIT" {
			if _, err := fmt.Sscanf(e.Value, "%dMiB", &soft); err != nil {
				t.Fatal(err)
			}
		}
	}
	if soft == 0 || soft > limit*9/10 {
		t.Errorf("GOMEMLIMIT %d MiB is not within nine tenths of the limit of %d MiB", soft, limit)
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	got := map[string]string{}
	for _, e := range find[*appsv1.DaemonSet](t).Spec.Template.Spec.Containers[0].Env {
		if e.ValueFrom != nil {
			got[e.Name] = e.ValueFrom.FieldRef.FieldPath
		}
	}
	want := map[string]string{
		"STARLING_NODE_NAME":   "spec.nodeName",
		"STARLING_NAMESPACE":   "metadata.namespace",
		"STARLING_GOSSIP_ADDR": "status.hostIP",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

func TestPortsAndProbes(t *testing.T) {
	t.Parallel()
	c := find[*appsv1.DaemonSet](t).Spec.Template.Spec.Containers[0]
	wantPorts := []corev1.ContainerPort{
		{Name: "gossip", ContainerPort: 7927, Protocol: corev1.ProtocolTCP},
		{Name: "gossip-udp", ContainerPort: 7927, Protocol: corev1.ProtocolUDP},
		{Name: "status", ContainerPort: 7928, Protocol: corev1.ProtocolTCP},
	}
	if diff := cmp.Diff(wantPorts, c.Ports); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
	status := intstr.FromString("status")
	for path, probe := range map[string]*corev1.Probe{"/healthz": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
		want := &corev1.HTTPGetAction{Path: path, Port: status}
		if diff := cmp.Diff(want, probe.HTTPGet); diff != "" {
			t.Errorf("probe (-want +got):\n%s", diff)
		}
	}
}

func TestVolumes(t *testing.T) {
	t.Parallel()
	spec := find[*appsv1.DaemonSet](t).Spec.Template.Spec
	wantMounts := []corev1.VolumeMount{
		{Name: "config", MountPath: "/etc/starling", ReadOnly: true}, // no subPath: it would never see a change
		{Name: "state", MountPath: "/var/lib/starling"},
	}
	if diff := cmp.Diff(wantMounts, spec.Containers[0].VolumeMounts); diff != "" {
		t.Errorf("mounts (-want +got):\n%s", diff)
	}
	wantVolumes := []corev1.Volume{
		{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "starling"},
		}}},
		{Name: "state", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{
			Path: "/var/lib/starling", Type: new(corev1.HostPathDirectoryOrCreate),
		}}},
	}
	if diff := cmp.Diff(wantVolumes, spec.Volumes); diff != "" {
		t.Errorf("volumes (-want +got):\n%s", diff)
	}
}
