package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Limits after which a connection to the API server counts as dead: frozen servers and silently
// dropped connections are noticed after idle plus answer, 10 s. A connection that is reset is
// noticed at once.
const (
	dialTimeout  = 5 * time.Second
	PingIdle     = 5 * time.Second // nothing read for this long: HTTP/2 PING
	PingAnswer   = 5 * time.Second // no answer to it within this: connection closed
	tcpKeepAlive = 15 * time.Second
)

// A Client talks to one API server. It knows two API groups and nothing else: client-go's full
// client set costs 13 MB of binary and 9 MB of memory more.
type Client struct {
	host            string // as in messages: https://198.18.0.1:6443
	Core, Discovery rest.Interface
}

// Connect makes a Client from a kubeconfig file, or from the Pod's ServiceAccount when kubeconfig
// is "". It does not talk to the API server yet.
func Connect(kubeconfig, userAgent string) (*Client, error) {
	config, err := loadConfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	config.UserAgent = userAgent
	return NewClient(config)
}

// ConnectUser makes a Client as kubectl does: from the kubeconfig file, else from those in
// $KUBECONFIG, else from ~/.kube/config, else from the Pod's ServiceAccount. Without the name of a
// context it is the present one.
func ConnectUser(kubeconfig, name, userAgent string) (*Client, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: name}).ClientConfig()
	if clientcmd.IsEmptyConfig(err) { // whose words name a variable that kubectl does not have
		return nil, errors.New("kubeconfig: none is found: give one by --kubeconfig FILE or $KUBECONFIG")
	}
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	config.UserAgent = userAgent
	return NewClient(config)
}

func loadConfig(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("in-cluster configuration: %w", err)
		}
		return config, nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %q: %w", kubeconfig, err)
	}
	return config, nil
}

// NewClient makes a Client from a configuration, to which ClientConfig is applied.
func NewClient(base *rest.Config) (*Client, error) {
	config := ClientConfig(base)
	shared, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("API client: %w", err)
	}
	c := &Client{}
	if c.Core, err = groupClient(config, shared, "/api", corev1.SchemeGroupVersion); err != nil {
		return nil, err
	}
	if c.Discovery, err = groupClient(config, shared, "/apis", discoveryv1.SchemeGroupVersion); err != nil {
		return nil, err
	}
	u := c.Core.Get().URL()
	c.host = u.Scheme + "://" + u.Host
	return c, nil
}

// Host returns the address of the API server as it appears in messages.
func (c *Client) Host() string { return c.host }

func groupClient(base *rest.Config, shared *http.Client, path string, gv schema.GroupVersion) (rest.Interface, error) {
	config := rest.CopyConfig(base)
	config.APIPath, config.GroupVersion, config.NegotiatedSerializer = path, &gv, codecs()
	c, err := rest.RESTClientForConfigAndClient(config, shared)
	if err != nil {
		return nil, fmt.Errorf("API client for %s: %w", gv, err)
	}
	return c, nil
}

func codecs() runtime.NegotiatedSerializer {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, discoveryv1.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err) // two types of one name: cannot happen with these two groups
		}
	}
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	return serializer.NewCodecFactory(scheme).WithoutConversion()
}

// ClientConfig returns a copy of a configuration as starling needs it: no throttling on our side
// (the server has its own), protobuf, no overall timeout (it would end watches), and dead
// connections noticed within seconds.
func ClientConfig(base *rest.Config) *rest.Config {
	c := rest.CopyConfig(base)
	c.UserAgent = cmp.Or(c.UserAgent, "starling")
	c.QPS = -1
	c.Timeout = 0
	c.ContentType = runtime.ContentTypeProtobuf
	c.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	if c.Dial == nil { // also keeps client-go from sharing the transport, which is changed below
		c.Dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: tcpKeepAlive}).DialContext
	}
	c.Wrap(watchful)
	return c
}

// watchful shortens HTTP/2's health check (client-go sets 30 s and 15 s by environment variables
// alone) and notes transport errors for failureOf.
func watchful(next http.RoundTripper) http.RoundTripper {
	if t := innermost(next); t != nil {
		t.HTTP2 = &http.HTTP2Config{SendPingTimeout: PingIdle, PingTimeout: PingAnswer, WriteByteTimeout: PingAnswer}
	}
	return noting{next}
}

func innermost(rt http.RoundTripper) *http.Transport {
	for {
		switch t := rt.(type) {
		case *http.Transport:
			return t
		case utilnet.RoundTripperWrapper:
			rt = t.WrappedRoundTripper()
		default:
			return nil
		}
	}
}

// noting tells the error of a request to a context made by NotingErrors. client-go answers a watch
// whose connection fails with one that is empty, and without an error.
type noting struct{ next http.RoundTripper }

type errorNote struct{}

// NotingErrors returns a context for a request, and where the error of its connection is found
// afterwards.
func NotingErrors(ctx context.Context) (context.Context, *error) {
	note := new(error)
	return context.WithValue(ctx, errorNote{}, note), note
}

// RoundTrip implements http.RoundTripper.
func (n noting) RoundTrip(q *http.Request) (*http.Response, error) {
	resp, err := n.next.RoundTrip(q)
	if note, ok := q.Context().Value(errorNote{}).(*error); ok {
		*note = err
	}
	return resp, err
}

// WrappedRoundTripper lets client-go look inside.
func (n noting) WrappedRoundTripper() http.RoundTripper { return n.next }
