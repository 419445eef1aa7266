package exposed

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"prober/internal/memory"
	"prober/internal/testenv"
)

func all(string) bool { return true }

// flat reads an Exposition and lists its series.
func flat(text string, openMetrics bool) (string, error) {
	x, err := Read(context.Background(), []byte(text), openMetrics, all)
	if err != nil {
		return "", err
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(x.Families)) {
		f := x.Families[name]
		Each(f, func(name string, label func(string) string, value float64) {
			line := name
			for _, l := range []string{"a", "le", "quantile", "l.m"} {
				if v := label(l); v != "" {
					line += " " + l + "=" + v
				}
			}
			lines = append(lines, fmt.Sprintf("%s %s %v", strings.ReplaceAll(strings.ToLower(f.GetType().String()), "_", ""), line, value))
		})
	}
	return strings.Join(lines, "\n"), nil
}

// at is a time from now on, in seconds or milliseconds.
func at(from time.Duration, perSecond int64) string {
	return strconv.FormatInt(time.Now().Add(from).Unix()*perSecond, 10)
}

func TestRead(t *testing.T) {
	for name, c := range map[string]struct {
		openMetrics bool
		text, want  string
	}{
		"nothing":                     {false, "", ""},
		"comments":                    {false, "# x\n#\n#EOF\n# HELP\n# TYPE a\n\n", ""},
		"no type":                     {false, "a 1\n", "untyped a 1"},
		"a time":                      {false, "# TYPE a counter\na 1 " + at(-4*time.Minute, 1000) + "\n", "counter a 1"},
		"a time of OpenMetrics":       {true, "a 1 " + at(0, 1) + ".25\nb 2 " + at(9*time.Minute, 1) + "\n# EOF\n", "untyped a 1\nuntyped b 2"},
		"another time":                {false, "# TYPE a counter\na 1 1395066363000\nb 2 " + at(-6*time.Minute, 1000) + "\nc 3 " + at(time.Hour, 1000) + "\nd 4 0\ne 5 -1\nf 6\n", "untyped f 6"},
		"another time of OpenMetrics": {true, "# TYPE a counter\na_total 1 1520879607.789 # {trace_id=\"1\"} 0.5 1520879607\nb 2 " + at(0, 1000) + "\nc 3 NaN\nd 4 " + at(0, 1) + "\nd 5 1\n# EOF\n", "untyped d 4"},
		"blanks":                      {false, "a\t{ a = \"x\" , } \t 2  \n", "untyped a a=x 2"},
		"escapes":                     {false, `a{a="} \" { \\ # "} 1` + "\n", `untyped a a=} " { \ #  1`},
		"numbers":                     {false, "a NaN\nb +Inf\nc -Inf\nd 1e-3\n", "untyped a NaN\nuntyped b +Inf\nuntyped c -Inf\nuntyped d 0.001"},
		"carriage returns":            {false, "a 1\r\n", "untyped a 1"},
		"UTF-8":                       {false, "# TYPE \"a.b\" gauge\n{\"a.b\",\"l.m\"=\"x\"} 1\n", "gauge a.b l.m=x 1"},
		"quotes without need":         {false, "# TYPE h histogram\n# TYPE c counter\nc 1\n{\"h_bucket\",a=\"x\",le=\"1\"} 1\n{\"h_count\",a=\"x\"} 1\n", "counter c 1\nhistogram h_bucket a=x le=1 1\nhistogram h_count a=x 1"},
		"an odd histogram":            {false, "# TYPE \"h.x\" histogram\n{\"h.x_bucket\",le=\"1\"} 1\n{\"h.x_count\"} 1\n# TYPE \"s.x\" summary\n{\"s.x_count\"} 2\n", "histogram h.x_bucket le=1 1\nhistogram h.x_count 1\nsummary s.x_count 2"},
		"half a histogram":            {false, "# TYPE h histogram\nh_bucket{le=\"1\"} 2\n", "histogram h_bucket le=1 2"},
		"a histogram of NaN":          {false, "# TYPE h histogram\nh_count NaN\n", "histogram h_count NaN"},
		"a summary":                   {false, "# TYPE s summary\ns{quantile=\"0.9\"} 3\ns_sum 4\n", "summary s quantile=0.9 3\nsummary s_sum 4"},
		"OpenMetrics":                 {true, "# TYPE a counter\n# HELP a A.\n# UNIT a seconds\na_total{a=\"x # y\"} 1 " + at(0, 1) + " # {trace_id=\"1\"} 0.5 1520879607\na_created{a=\"x\"} 2\n# EOF\n", "untyped a_created a=x 2\ncounter a_total a=x # y 1"},
		"a histogram of OpenMetrics":  {true, "# TYPE h histogram\nh_bucket{le=\"1.0\"} 1 # {id=\"a\"} 0.67\nh_bucket{le=\"+Inf\"} 1\nh_count 1\nh_sum 0.67\n# EOF\n", "histogram h_bucket le=1 1\nhistogram h_bucket le=+Inf 1\nhistogram h_sum 0.67\nhistogram h_count 1"},
		"other types of OpenMetrics":  {true, "# TYPE b info\nb_info{a=\"1\"} 1\n# TYPE s stateset\ns{a=\"x\"} 1\n# TYPE u unknown\nu 1\n# TYPE n_total counter\nn_total 1\n# EOF\n", "gauge b_info a=1 1\ncounter n_total 1\ngauge s a=x 1\nuntyped u 1"},
		"UTF-8 names of OpenMetrics":  {true, "# TYPE \"a.b\" counter\n{\"a.b_total\",a=\"x\"} 1\n# EOF\n", "counter a.b_total a=x 1"},
		"empty OpenMetrics":           {true, "# EOF\n", ""},
		"the end is no end elsewhere": {false, "# EOF\na 1\n", "untyped a 1"},
	} {
		if got, err := flat(c.text, c.openMetrics); got != c.want || err != nil {
			t.Errorf("%s: expected\n%s\ngot %v\n%s", name, c.want, err, got)
		}
	}
}

func TestRead_refused(t *testing.T) {
	const notText = " is not of the text format: Prometheus takes nothing of the exposition"
	for name, c := range map[string]struct {
		openMetrics bool
		text, want  string
	}{
		"no newline at the end":        {false, "a 1\nb 2", ErrCut.Error()},
		"no end":                       {true, "# TYPE a gauge\na 1\n", ErrCut.Error()},
		"something behind the end":     {true, "# EOF\na 1\n", "line 2 stands behind the end"},
		"no value":                     {false, "a 1\nb\n", "line 2" + notText},
		"no value behind labels":       {false, "a{}\n", "line 1" + notText},
		"two values":                   {false, "a 1 2 3\n", "line 1" + notText},
		"an exemplar":                  {false, "a 1 # {a=\"b\"} 1\n", "line 1" + notText},
		"two values, OpenMetrics":      {true, "a 1 2 3\n# EOF\n", "line 1 is not of the format OpenMetrics: Prometheus takes nothing of the exposition"},
		"no time, OpenMetrics":         {true, "a 1 soon\n# EOF\n", "line 1 is not of the format OpenMetrics: Prometheus takes nothing of the exposition"},
		"no value, OpenMetrics":        {true, "a{} # {} 1\n# EOF\n", "line 1 is not of the format OpenMetrics: Prometheus takes nothing of the exposition"},
		"a label that does not end":    {false, "a{b=\"c 1\n", "line 1" + notText},
		"the same label twice":         {false, "a{b=\"c\",b=\"d\"} 1\n", "line 1" + notText},
		"the label __name__":           {false, "a{__name__=\"b\"} 1\n", "line 1" + notText},
		"labels without a name":        {false, "{a=\"b\"} 1\n", "line 1" + notText},
		"only blanks before a value":   {false, " 1\n", "line 1" + notText},
		"an unknown type":              {false, "# TYPE a complex\n", "line 1" + notText},
		"the type after the samples":   {false, "a 1\n# TYPE a gauge\n", "line 2" + notText},
		"a negative bucket":            {false, "# TYPE h histogram\nh_bucket{le=\"1\"} -1\n", "line 2" + notText},
		"bytes that are not text":      {false, "\x00\xff\n", "line 1" + notText},
		"a label value of other bytes": {false, "a{b=\"\xff\"} 1\n", "line 1" + notText},
		"a word for a time":            {false, "a 1 x\n", "line 1" + notText},
		"a time with a fraction":       {false, "a 1 1.5\n", "line 1" + notText},
		"another time, no value":       {false, "b 1\na x 1000\n", "line 2" + notText},
		"another time, odd labels":     {true, "b 1\na{c} 1 1000\n# EOF\n", "line 2" + notText},
		"HTML":                         {false, "<!DOCTYPE html>\n<html>\n</html>\n", "line 2" + notText},
		"a histogram with odd name":    {false, "# TYPE \"h.x\" histogram\n# TYPE c counter\nc 1\n{\"h.x_bucket\",a=\"b\",le=\"1\"} 1\n", errQuoted.Error()},
		"one that would be misread":    {false, "# TYPE \"h.x\" summary\n# TYPE g histogram\ng_count 1\n{\"h.x_count\"} 1\n", errQuoted.Error()},
		"a line without end":           {false, "a{b=\"" + strings.Repeat("x", maxLine) + "\"} 1\n", "line 1 is longer than 64 KiB, which is the most that is read of one"},
		"more series than are wanted":  {false, strings.Repeat("a 1\n", maxSeries+1), "there are more than 20000 series of the families that are wanted, which is the most that are read"},
	} {
		x, err := Read(t.Context(), []byte(c.text), c.openMetrics, all)
		if err == nil || err.Error() != c.want || x != nil {
			t.Errorf("%s: expected %q, got %v", name, c.want, err)
		}
	}
}

// Lines of families that nobody wants are read too, but cost nothing, however many there are.
func TestRead_millionSeries(t *testing.T) {
	var b strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&b, "f%d{a=\"%d\"} 1\n", i%1000, i)
	}
	b.WriteString("mine 1\n")
	body := []byte(b.String())
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	x, err := Read(t.Context(), body, false, func(name string) bool { return name == "mine" })
	runtime.GC()
	runtime.ReadMemStats(&after)
	if err != nil || x.Lines != 100_001 || len(x.Families) != 1 {
		t.Fatalf("got %v %+v", err, x)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("%d bytes are kept", grown)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Read(ended, body, false, func(string) bool { return false }); !memory.IsLimit(err) {
		t.Errorf("without time: got %v", err)
	}
	runtime.KeepAlive(x)
}

// A line takes time that grows with its length only.
func TestRead_longLines(t *testing.T) {
	for _, line := range []string{
		strings.Repeat(" ", maxLine-1), "a" + strings.Repeat(" ", maxLine-10) + "1", "a" + strings.Repeat(" ", maxLine-10) + "{} 1",
		strings.Repeat("{", maxLine), strings.Repeat("\"", maxLine), "a{" + strings.Repeat("b=\"c\",", 8000), strings.Repeat("\\", maxLine),
		"# TYPE " + strings.Repeat("a", maxLine-20) + " gauge", "{" + strings.Repeat(" ", maxLine-10),
	} {
		body := []byte(strings.Repeat(line+"\n", 4))
		took := testenv.ProcessorTime(func() {
			_, _ = Read(t.Context(), body, false, all)
			_, _ = Read(t.Context(), body, true, all)
		})
		if took > 5*time.Second {
			t.Errorf("%.20s took %s", line, took)
		}
	}
}
