package probe

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"prober/internal/text"
)

// A Duration is a length of time in the configuration: what time.ParseDuration reads, and days as in "14d".
type Duration time.Duration

// D returns the duration as the standard library's.
func (d Duration) D() time.Duration { return time.Duration(d) }

// String writes the duration as people do: "14d", "5m" and not "5m0s", and everything else as time.Duration does.
func (d Duration) String() string {
	const day = 24 * time.Hour
	if d != 0 && d.D()%day == 0 {
		return strconv.FormatInt(int64(d.D()/day), 10) + "d"
	}
	text := d.D().String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// UnmarshalYAML reads the duration and refuses a bare number, which has no unit.
func (d *Duration) UnmarshalYAML(unmarshal func(any) error) error {
	var written string
	if err := unmarshal(&written); err != nil {
		return notDuration("")
	}
	v, err := ParseDuration(written)
	*d = v
	return err
}

// MarshalYAML writes the duration in the form that UnmarshalYAML reads.
func (d Duration) MarshalYAML() (any, error) { return d.String(), nil }

// ParseDuration reads "30s", "1h30m" or "14d".
func ParseDuration(written string) (Duration, error) {
	const day = 24 * time.Hour
	if days, ok := strings.CutSuffix(written, "d"); ok {
		n, err := strconv.ParseInt(days, 10, 32)
		if v := time.Duration(n) * day; err == nil && v/day == time.Duration(n) { // no overflow
			return Duration(v), nil
		}
	}
	v, err := time.ParseDuration(written)
	if err != nil || strings.Trim(written, "+-0") == "" { // time takes a 0 without a unit
		return 0, notDuration(written)
	}
	return Duration(v), nil
}

func notDuration(written string) error {
	got := text.Word(written)
	if got != "" {
		got = ", got " + got[:len(got)-1]
	}
	return errors.New("a duration is written as 30s, 5m, 1h or 14d" + got)
}

// JSONSchema describes the texts that UnmarshalYAML reads.
func (Duration) JSONSchema() map[string]any {
	return map[string]any{"type": "string", "pattern": `^([0-9]+d|([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+)$`}
}
