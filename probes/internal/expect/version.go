package expect

import (
	"fmt"
	"slices"
	"strings"

	"prober/internal/probe"
)

// HTTPVersions are the versions of HTTP that a response may have.
type HTTPVersions []string

// HTTP2 is a version of HTTP that is spoken only if both sides offer it.
const HTTP2 = "2"

// protocols are the versions as an answer names them.
var protocols = map[string]string{"1.0": "HTTP/1.0", "1.1": "HTTP/1.1", HTTP2: "HTTP/2.0"}

// OtherHTTPVersion is the reason of an answer in a version that is not expected.
var OtherHTTPVersion = probe.Reason{Word: "http_version", Verdict: probe.Fail, Text: "another version of HTTP",
	Action: "Compare the protocols that the load balancer and the CDN offer (ALPN, http2 on, h2) with those before the last change."}

// UnmarshalYAML reads one version, or a list of them.
func (v *HTTPVersions) UnmarshalYAML(unmarshal func(any) error) error {
	var words []string
	if unmarshal(&words) != nil {
		words = make([]string, 1)
		if unmarshal(&words[0]) != nil {
			words = nil
		}
	}
	for i, word := range words {
		if protocols[word] == "" || slices.Contains(words[:i], word) {
			words = nil
			break
		}
	}
	if len(words) == 0 {
		return fmt.Errorf("expected 1.0, 1.1, 2 or a list of these, each once")
	}
	*v = words
	return nil
}

// MarshalYAML writes the versions in the form that UnmarshalYAML reads.
func (v HTTPVersions) MarshalYAML() (any, error) { return []string(v), nil }

// JSONSchema describes what UnmarshalYAML reads.
func (HTTPVersions) JSONSchema() map[string]any {
	one := map[string]any{"enum": []any{"1.0", "1.1", "2", 1.0, 1.1, 2}}
	return map[string]any{"oneOf": []any{one, map[string]any{"type": "array", "items": one, "minItems": 1}}}
}

func (v HTTPVersions) judge(protocol string) probe.Outcome {
	for _, word := range v {
		if protocols[word] == protocol {
			return probe.Outcomef(probe.OK, "got %s", protocol)
		}
	}
	return probe.Outcomef(OtherHTTPVersion, "expected HTTP version %s, got %s", strings.Join(v, " or "), protocol)
}
