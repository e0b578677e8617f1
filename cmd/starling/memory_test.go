package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/watcher/apitest"
)

// TestThrift restores what it found, for others in the process.
func TestThrift(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	for _, tt := range []struct {
		gogc string
		want int
	}{{"", growth}, {"100", 100}} {
		t.Run("GOGC="+tt.gogc, func(t *testing.T) {
			t.Setenv("GOGC", tt.gogc)
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- limitMemory(ctx) }()
				synctest.Wait()
				if got := debug.SetGCPercent(tt.want); got != tt.want {
					t.Errorf("the heap grows by %d percent, want %d", got, tt.want)
				}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				<-time.After(firstTrim + laterTrims + 1)
				synctest.Wait()
				runtime.ReadMemStats(&after)
				if got := after.NumForcedGC - before.NumForcedGC; got < 4 {
					t.Errorf("%d collections in the time of two trims, want two for each", got)
				}
				stop()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
			if got := debug.SetGCPercent(100); got != 100 {
				t.Errorf("afterwards the heap grows by %d percent, want 100", got)
			}
		})
	}
}

// BenchmarkMemory tells how much memory the program holds that knows so many bound Services, each
// with an endpoint, as the kernel counts it (of that in files: the program itself). It was 33 MB
// with 100 and 68 MB with 10,000, of these 27 MB in files and 24 MB of live heap: 100 bytes more
// for each Service are 1.5 MB more here.
func BenchmarkMemory(b *testing.B) {
	binary := filepath.Join(b.TempDir(), "starling")
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	for _, count := range []int{100, 10000} {
		b.Run(fmt.Sprint(count, " Services"), func(b *testing.B) {
			for b.Loop() {
				measureMemory(b, binary, count)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func measureMemory(b *testing.B, binary string, count int) {
	api := apitest.Start(b)
	api.Create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}})
	api.Create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
	system, _ := apitest.Get(api, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespaceSystem}})
	for i := range count {
		s := boundService(i, string(system.UID))
		status := s.Status
		s = api.Create(s).(*corev1.Service).DeepCopy()
		s.Status = status
		api.UpdateStatus(s)
		api.Create(sliceOf(i))
	}
	web := fmt.Sprintf("127.0.0.1:%d", freePort(b))
	cmd := exec.Command(binary, "run", "--node-name", "n1", "--kubeconfig", kubeconfig(b, api.Config().Host), "--status-addr", web,
		"--gossip-addr", fmt.Sprintf("127.0.0.1:%d", freePort(b)), "--interface", "nosuch0", "--pool", "198.18.128.0/17", "--log-level", "error")
	cmd.Stderr = os.Stderr
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}()
	for deadline := time.Now().Add(3 * time.Minute); known(web) < count; <-time.After(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("knows %d of %d addresses", known(web), count)
		}
	}
	b.ReportMetric(time.Since(begun).Seconds(), "s-until-known")
	<-time.After(2 * firstTrim)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(megabytes(string(status), "VmRSS:"), "MB")
	b.ReportMetric(megabytes(string(status), "VmHWM:"), "MB-most")
	b.ReportMetric(megabytes(string(status), "RssFile:"), "MB-files")
}

func boundService(i int, installation string) *corev1.Service {
	ip := netip.AddrFrom4([4]byte{198, 18, byte(128 + i>>8), byte(i)}).String()
	lease := fmt.Sprintf(`{"v":1,"by":%q,"holder":"n1","ips":[{"ip":%q,"pool":"default","state":"bound"}]}`, installation, ip)
	name := "svc-" + strconv.Itoa(i)
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: name, Labels: map[string]string{"app.kubernetes.io/name": name},
			Annotations: map[string]string{
				"kubectl.kubernetes.io/last-applied-configuration": strings.Repeat("x", 500), "starling-lb.io/lease": lease,
				"starling-lb.io/ip-allocated-from-pool": "default",
			},
		},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, Selector: map[string]string{"app.kubernetes.io/name": name},
			Ports: []corev1.ServicePort{{Port: 80, Protocol: corev1.ProtocolTCP}}, IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol},
		},
		Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: ip}}}},
	}
}

func sliceOf(i int) *discoveryv1.EndpointSlice {
	name, node, yes := "svc-"+strconv.Itoa(i), "n1", true
	return &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: name}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{{
			Addresses: []string{netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String()}, NodeName: &node,
			Conditions: discoveryv1.EndpointConditions{Serving: &yes},
		}},
	}
}

// known counts the addresses that the program shows.
func known(web string) int {
	resp, err := http.Get("http://" + web + "/api/v1/status")
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	var s struct{ VIPs []json.RawMessage }
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		return 0
	}
	return len(s.VIPs)
}

// megabytes reads a line of /proc/PID/status, which has kilobytes.
func megabytes(status, field string) float64 {
	_, rest, _ := strings.Cut(status, field)
	words := strings.Fields(rest)
	kb, err := strconv.Atoi(words[0])
	if err != nil {
		panic(err)
	}
	return float64(kb) * 1024 / 1e6
}
