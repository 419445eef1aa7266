// Package kubernetes reads objects of a Kubernetes API server over its REST interface.
//
// It promises, against any server:
//
//   - it only reads: GET of one object, and lists;
//   - lists are complete or not there at all: they are read page by page, of one resourceVersion, and from the start once more
//     if the server has forgotten where a list was (410);
//   - the token of the service account is read at use, since the kubelet rotates it;
//   - answers are bounded in bytes, pages and items, and no byte of them is in a message;
//   - whatever prevents an answer is an outcome with a reason. For a 403 it names the verb and the resource that the Role lacks.
//
// The API server is a witness. A kind decides what its silence means; it is never a pass.
package kubernetes

import (
	"cmp"
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"prober/internal/dial"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/secret"
)

// Settings say which API server is asked, and as whom. A kind embeds them with `yaml:",inline"`. They do not change once Client
// has been called.
type Settings struct {
	httpx.Settings `yaml:",inline"`

	API       string `yaml:"api,omitempty" doc:"URL of the API server; default: that of the cluster that the prober runs in, with the token of its service account"`
	Namespace string `yaml:"namespace,omitempty" doc:"the namespace to look into; default: the prober's own"`
}

// A Client reads objects. Its methods may be called from several goroutines.
type Client struct {
	http      *httpx.Client
	api       string // empty: the cluster's own
	namespace string // empty: the service account's
	cluster   cluster
	identity  string // whom the server refuses, for a sentence
}

// A cluster is what a pod knows of the cluster that it runs in.
type cluster struct {
	files  string // folder of the service account
	getenv func(string) string
}

// ownCluster is where every pod finds its service account.
var ownCluster = cluster{files: "/var/run/secrets/kubernetes.io/serviceaccount", getenv: os.Getenv}

// defaultMaxBody has room for a page of pods with many containers, variables and fields of managers.
const defaultMaxBody = 2 << 20

// Client checks the settings and returns a client. The error joins a probe.SettingError for each thing that is wrong.
func (s *Settings) Client() (*Client, error) { return s.client(ownCluster) }

func (s *Settings) client(own cluster) (*Client, error) {
	var wrong []error
	if s.Namespace != "" {
		wrong = append(wrong, probe.InSetting("namespace", ValidateName(s.Namespace)))
	}
	if strings.ContainsAny(s.API, "?#") {
		wrong = append(wrong, probe.Settingf("api", "expected a URL without parameters"))
	}
	asked := s.Settings
	asked.MaxBody = cmp.Or(asked.MaxBody, defaultMaxBody)
	identity := "the prober's credential"
	switch {
	case s.API == "" && len(s.Credentials()) == 0:
		asked.Bearer = secret.File(filepath.Join(own.files, "token"))
		identity = "the prober's service account"
	case !s.Authenticates():
		identity = "a request without a credential"
	}
	if s.API == "" && asked.TLS == nil {
		asked.TLS = &dial.TLS{CAFile: filepath.Join(own.files, "ca.crt")}
	}
	client, err := asked.ClientFor(map[string]string{"api": s.API})
	if err := errors.Join(append(wrong, err)...); err != nil {
		return nil, err
	}
	return &Client{
		http: client, api: strings.TrimSuffix(s.API, "/"), namespace: s.Namespace, cluster: own, identity: identity,
	}, nil
}

// Close closes the connections kept for reuse.
func (c *Client) Close() { c.http.Close() }

// Resolver returns what the client asks for addresses.
func (c *Client) Resolver() *net.Resolver { return c.http.Resolver() }

// Addresses lists the API server, for probe.Addresser.
func (s *Settings) Addresses() []string {
	return []string{cmp.Or(s.API, "https://kubernetes.default.svc")}
}

// dnsLabel is what names of namespaces and of most objects look like (RFC 1123), dots between labels included.
var dnsLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// ValidateName refuses a name that no object of Kubernetes can have.
func ValidateName(name string) error {
	if len(name) > 253 || !dnsLabel.MatchString(name) {
		return probe.Settingf("", "expected a name of Kubernetes: lower-case letters, digits, - and dots, with a letter or digit at both ends")
	}
	return nil
}

// server returns the URL of the API server.
func (c *Client) server() (string, probe.Outcome) {
	if c.api != "" {
		return c.api, probe.Outcome{Reason: probe.OK}
	}
	host, port := c.cluster.getenv("KUBERNETES_SERVICE_HOST"), c.cluster.getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return "", probe.Outcomef(NoCluster, "expected api, or a prober that runs in a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set")
	}
	return "https://" + net.JoinHostPort(host, port), probe.Outcome{Reason: probe.OK}
}

// Namespace returns the namespace to look into: that of the settings, or the prober's own.
func (c *Client) Namespace() (string, probe.Outcome) {
	if c.namespace != "" {
		return c.namespace, probe.Outcome{Reason: probe.OK}
	}
	content, err := os.ReadFile(filepath.Join(c.cluster.files, "namespace"))
	name := strings.TrimSpace(string(content))
	if err != nil || ValidateName(name) != nil {
		return "", probe.Outcomef(NoCluster, "expected namespace, or a prober that runs in a cluster: the file of its own namespace cannot be read")
	}
	return name, probe.Outcome{Reason: probe.OK}
}
