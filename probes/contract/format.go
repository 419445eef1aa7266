package contract

import (
	"fmt"
	"mime"
)

// Media types of the two formats of text.
const (
	textType        = "text/plain"
	openMetricsType = "application/openmetrics-text"
)

// accept asks for the format that has one meaning in all versions, and takes OpenMetrics from a target that has no other.
// Names that are not of the old form are escaped unless they are asked for.
func accept(utf8Names bool) string {
	if utf8Names {
		return textType + ";version=1.0.0;escaping=allow-utf-8," + openMetricsType + ";version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.1"
	}
	return textType + ";version=0.0.4," + openMetricsType + ";version=1.0.0;q=0.5,*/*;q=0.1"
}

// format returns openMetricsType or textType, or says what the answer is instead.
func format(contentType string) (string, error) {
	media, _, err := mime.ParseMediaType(contentType)
	switch {
	case media == openMetricsType:
		return openMetricsType, nil
	case contentType == "" || media == textType && err == nil:
		return textType, nil
	}
	got := map[string]string{
		"text/html": "HTML", "application/xhtml+xml": "HTML", "application/json": "JSON",
		"application/vnd.google.protobuf": "protobuf, which was not asked for",
	}[media]
	if got == "" {
		got = "another content type"
	}
	return "", fmt.Errorf("expected the text format of Prometheus, got %s", got)
}
