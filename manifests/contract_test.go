package manifests

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/yaml"

	"github.com/starling-lb/starling/lease"
)

func TestObjects(t *testing.T) {
	t.Parallel()
	var got []string
	for _, o := range objects(t) {
		got = append(got, o.id)
	}
	// In this order the namespace exists before its contents. The pools are the user's own: applied
	// again, they stay.
	want := []string{
		"Namespace starling-system",
		"ServiceAccount starling-system/starling",
		"ClusterRole starling",
		"ClusterRoleBinding starling",
		"Role starling-system/starling",
		"RoleBinding starling-system/starling",
		"DaemonSet starling-system/starling",
		"ValidatingAdmissionPolicy starling-services",
		"ValidatingAdmissionPolicyBinding starling-services",
		"ValidatingAdmissionPolicy starling-events",
		"ValidatingAdmissionPolicyBinding starling-events",
		"ValidatingAdmissionPolicy starling-secrets",
		"ValidatingAdmissionPolicyBinding starling-secrets",
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

// The files that users copy: the one in the comment at the top, and the example's.
func TestPools(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		text string
		want []lease.PoolInfo
	}{
		{"at the top of the manifest", inComment(t), []lease.PoolInfo{{
			Name:   "default",
			Ranges: []string{"192.168.1.240-192.168.1.250", "192.168.2.0/28", "2001:db8:0:1::1:0/112"},
			Size:   11 + 16 + 65536, AutoAssign: true,
		}}},
		{"example", file(t, "overlays/example/pools.yaml"), []lease.PoolInfo{{
			Name: "default", Ranges: []string{"192.168.1.240-192.168.1.250"}, Size: 11, AutoAssign: true,
		}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o, _ := decode(t, []byte(tt.text))
			if want := "ConfigMap starling-system/starling"; o.id != want {
				t.Errorf("it makes %s, want %s", o.id, want)
			}
			pools, err := lease.ReadPools(nil, tt.name, []byte(o.value.(*corev1.ConfigMap).Data["starling.yaml"]))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, pools.List(), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("pools (-want +got):\n%s", diff)
			}
		})
	}
}

// inComment is the ConfigMap in the comment at the top of the manifest.
func inComment(t *testing.T) string {
	t.Helper()
	_, rest, _ := strings.Cut(file(t, Rendered), "kubectl apply -f pools.yaml\n#\n")
	var out strings.Builder
	for line := range strings.Lines(rest) {
		text, ok := strings.CutPrefix(line, "#      ")
		if !ok {
			break
		}
		out.WriteString(text)
	}
	return out.String()
}

func file(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
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
	wantArgs := []string{"run", "--config-map=starling", "--state-dir=/var/lib/starling"}
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

// TestEnvironment: gossip gets no address here. Kubernetes would give one of one family
// (status.hostIP), and the one that the node had when the container started.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	got := map[string]string{}
	for _, e := range find[*appsv1.DaemonSet](t).Spec.Template.Spec.Containers[0].Env {
		if e.ValueFrom != nil {
			got[e.Name] = e.ValueFrom.FieldRef.FieldPath
		}
	}
	want := map[string]string{
		"STARLING_NODE_NAME": "spec.nodeName",
		"STARLING_NAMESPACE": "metadata.namespace",
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
		{Name: "state", MountPath: "/var/lib/starling"},
	}
	if diff := cmp.Diff(wantMounts, spec.Containers[0].VolumeMounts); diff != "" {
		t.Errorf("mounts (-want +got):\n%s", diff)
	}
	wantVolumes := []corev1.Volume{
		{Name: "state", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{
			Path: "/var/lib/starling", Type: new(corev1.HostPathDirectoryOrCreate),
		}}},
	}
	if diff := cmp.Diff(wantVolumes, spec.Volumes); diff != "" {
		t.Errorf("volumes (-want +got):\n%s", diff)
	}
}

// TestSetFlagStays: a variable that "kubectl set env" adds is there after the manifest of another
// release was applied, as docs/install.md says.
func TestSetFlagStays(t *testing.T) {
	t.Parallel()
	encode := func(ds *appsv1.DaemonSet) []byte {
		b, err := yaml.Marshal(ds)
		if err == nil {
			b, err = yaml.YAMLToJSON(b)
		}
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	applied := find[*appsv1.DaemonSet](t)
	set, newer := applied.DeepCopy(), applied.DeepCopy()
	c := &set.Spec.Template.Spec.Containers[0]
	c.Env = append(c.Env, corev1.EnvVar{Name: "STARLING_HOLD_DOWN", Value: "2h"})
	newer.Spec.Template.Spec.Containers[0].Image = "next"

	// As kubectl apply does.
	meta, err := strategicpatch.NewPatchMetaFromStruct(appsv1.DaemonSet{})
	if err != nil {
		t.Fatal(err)
	}
	patch, err := strategicpatch.CreateThreeWayMergePatch(encode(applied), encode(newer), encode(set), meta, true)
	if err != nil {
		t.Fatal(err)
	}
	result, err := strategicpatch.StrategicMergePatch(encode(set), patch, appsv1.DaemonSet{})
	if err != nil {
		t.Fatal(err)
	}
	var got appsv1.DaemonSet
	if err := yaml.UnmarshalStrict(result, &got); err != nil {
		t.Fatal(err)
	}
	want := newer.Spec.Template.Spec.Containers[0]
	want.Env = set.Spec.Template.Spec.Containers[0].Env
	byName := cmpopts.SortSlices(func(a, b corev1.EnvVar) bool { return a.Name < b.Name })
	if diff := cmp.Diff(want, got.Spec.Template.Spec.Containers[0], byName); diff != "" {
		t.Errorf("container after kubectl apply (-want +got):\n%s", diff)
	}
}
