package public

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"prober/internal/probe"
)

// TestJudge: a component works only if each of its probes has just passed. Everything else is not known, or worse.
func TestJudge(t *testing.T) {
	t.Parallel()
	run := func(v probe.Verdict, age time.Duration) probe.LastRun {
		return probe.LastRun{At: now.Add(-age), Verdict: v, Interval: 30 * time.Second, Since: probe.Since{At: now.Add(-time.Hour)}}
	}
	pass, fail, inconclusive := run(probe.Pass, time.Second), run(probe.Fail, time.Second), run(probe.Inconclusive, time.Second)
	for name, c := range map[string]struct {
		runs []probe.LastRun
		want state
	}{
		"passed":                   {[]probe.LastRun{pass}, operational},
		"passed, late":             {[]probe.LastRun{run(probe.Pass, 74*time.Second)}, operational},
		"all passed":               {[]probe.LastRun{pass, pass}, operational},
		"never run":                {[]probe.LastRun{{}}, unknown},
		"one never run":            {[]probe.LastRun{pass, {Interval: 30 * time.Second}}, unknown},
		"inconclusive":             {[]probe.LastRun{inconclusive}, unknown},
		"one inconclusive":         {[]probe.LastRun{pass, inconclusive}, unknown},
		"stale":                    {[]probe.LastRun{run(probe.Pass, 76*time.Second)}, unknown},
		"one stale":                {[]probe.LastRun{pass, run(probe.Pass, time.Hour)}, unknown},
		"from the future":          {[]probe.LastRun{run(probe.Pass, -time.Hour)}, unknown},
		"no probes":                {nil, unknown},
		"failed":                   {[]probe.LastRun{fail}, outage},
		"all failed":               {[]probe.LastRun{fail, fail}, outage},
		"one failed":               {[]probe.LastRun{pass, fail}, disrupted},
		"failed, the other stale":  {[]probe.LastRun{fail, run(probe.Pass, time.Hour)}, disrupted},
		"failed, the other unsure": {[]probe.LastRun{fail, inconclusive}, disrupted},
		"failed long ago":          {[]probe.LastRun{run(probe.Fail, time.Hour)}, unknown},
	} {
		got, since := judge(c.runs, now)
		if got != c.want {
			t.Errorf("%s: got %q, expected %q", name, stateWords[got], stateWords[c.want])
		}
		if failing := got == outage || got == disrupted; failing != since.At.Equal(now.Add(-time.Hour)) {
			t.Errorf("%s: since %s", name, since.At)
		}
	}
}

// TestSentence: one sentence says how bad it is, and never says that all is well if a part is not known.
func TestSentence(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		states []state
		in     state // all of them together
	}{
		"All components are operational":                                        {[]state{operational, operational}, operational},
		"A is unavailable":                                                      {[]state{outage, operational}, outage},
		"A is partly unavailable":                                               {[]state{disrupted, operational}, disrupted},
		"2 of 3 components have problems":                                       {[]state{outage, disrupted, operational}, outage},
		"2 of 2 components have problems":                                       {[]state{outage, disrupted}, outage},
		"3 of 3 components have problems":                                       {[]state{disrupted, disrupted, disrupted}, disrupted},
		"All components are unavailable":                                        {[]state{outage, outage}, outage},
		"The status of 1 of 2 components is not known":                          {[]state{operational, unknown}, unknown},
		"The current status is not known":                                       {[]state{unknown, unknown}, unknown},
		"A is unavailable. The status of 1 of 2 components is not known":        {[]state{outage, unknown}, outage},
		"Maintenance is in progress":                                            {[]state{operational, inMaintenance}, inMaintenance},
		"The status of 1 of 3 components is not known":                          {[]state{operational, inMaintenance, unknown}, unknown},
		"A is partly unavailable. The status of 1 of 3 components is not known": {[]state{disrupted, inMaintenance, unknown}, disrupted},
	} {
		var parts []part
		for i, s := range c.states {
			parts = append(parts, part{Component: probe.Component{Name: string(rune('A' + i))}, state: s})
		}
		if in, got := sentence(parts); got != want || in != c.in {
			t.Errorf("%v: got %q, %s, expected %q, %s", c.states, got, stateNames[in], want, stateNames[c.in])
		}
	}
	if _, got := sentence([]part{{Component: probe.Component{Name: "Shop"}, state: outage}}); got != "Shop is unavailable" {
		t.Errorf("of the only component: got %q", got)
	}
}

// TestPage_showsNothingOfOperators looks into all documents for what only operators may see, while everything fails.
func TestPage_showsNothingOfOperators(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "login", "front", "search")
	w.run("login", probe.Fail)
	w.incident(now.Add(-39*time.Minute), time.Time{}, "login", "secret")
	w.incident(now.AddDate(0, 0, -3), now.AddDate(0, 0, -3).Add(12*time.Minute), "front")
	w.incident(now.AddDate(0, 0, -4), now.AddDate(0, 0, -4).Add(time.Minute), "secret")
	all := w.look().texts()
	for name, text := range all {
		for _, word := range hidden {
			if strings.Contains(text, word) {
				t.Errorf("%s has %q", name, word)
			}
		}
	}
	contains(t, all[pageName], "Login is unavailable", "As of", "28 Nov 2026, 12:00 UTC", "Unavailable", "since", "11:21 UTC", "Operational", "Accounts",
		"Problems: Login", "not over yet", "Problems: Front", "(12 min)", "90 days ago", "99.9 % uptime (2 % unknown)",
		"1 of the last 90 days had failures, 1 are not known", "4 Sep 2026: unknown")
	if n := strings.Count(all[pageName], "Problems: "); n != 2 {
		t.Errorf("%d incidents, expected 2: one is about no component", n)
	}
	var status struct {
		Status     string
		Components []struct{ Name, Status, Since string }
	}
	if err := json.Unmarshal([]byte(all[statusName]), &status); err != nil || status.Status != "outage" || status.Components[0].Since != "2026-11-28T11:21:00Z" {
		t.Errorf("got %v of %s", err, all[statusName])
	}
}

// TestPage_moreIncidents: a page that has not seen all incidents does not say that there were none, or no others.
func TestPage_moreIncidents(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		private, public int
		none, more      bool
	}{
		"none":               {0, 0, true, false},
		"some":               {100, 2, false, false},
		"behind many others": {400, 1, false, true},
		"many":               {0, maxIncidents + 1, false, true},
	} {
		w := newWorld(t, "login")
		for i := range c.private {
			w.incident(now.Add(-time.Duration(i+1)*time.Minute), now, "nobody's")
		}
		for i := range c.public {
			w.incident(now.Add(-time.Duration(i+1001)*time.Minute), now, "login")
		}
		page := w.look().texts()[pageName]
		if none, more := strings.Contains(page, "No incidents."), strings.Contains(page, "Older incidents are not listed."); none != c.none || more != c.more {
			t.Errorf("%s: says none: %t, says that older ones are not listed: %t", name, none, more)
		}
	}
}

// TestPage_hostileTexts: what people write is text.
func TestPage_hostileTexts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "login")
	w.page.Title, w.page.Text, w.page.Components[0].Name = `<script>a</script>`, `"><img src=x onerror=a>`, `</svg><script>b</script>`
	write(t, w.page.Notices, "announcements: [{at: 2026-11-28T11:00:00Z, title: '<script>c</script>', text: '<b>d</b>'}]")
	all := w.look().texts()
	if n := strings.Count(all[pageName], "<script"); n != 1 {
		t.Errorf("%d scripts, expected our own", n)
	}
	for _, tag := range []string{"<img", "<b>"} {
		if strings.Contains(all[pageName], tag) || strings.Contains(all[feedName], tag) {
			t.Errorf("%s is in a document", tag)
		}
	}
}

// TestNotices: announcements and maintenance come and go by their times, and what is past is in the list.
func TestNotices(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "login", "front")
	w.incident(now.Add(-24*time.Hour), now.Add(-23*time.Hour), "login")
	write(t, w.page.Notices, `
announcements:
  - {at: 2026-11-28T11:00:00Z, title: Slow today, text: "First.\n\nSecond.", components: [Login]}
  - {at: 2026-11-27T11:00:00Z, until: 2026-11-28T11:59:00Z, title: Over}
  - {at: 2026-11-29T11:00:00Z, title: Tomorrow}
  - {at: 2026-01-29T11:00:00Z, until: 2026-01-30T00:00:00Z, title: Long ago}
maintenance:
  - {at: 2026-11-20T00:00:00Z, from: 2026-11-28T11:30:00Z, to: 2026-11-28T13:00:00Z, title: A move, components: [Front]}
  - {at: 2026-11-21T00:00:00Z, from: 2026-11-30T11:30:00Z, to: 2026-11-30T13:00:00Z, title: An upgrade, components: [Login]}
  - {at: 2026-11-22T00:00:00Z, from: 2026-11-25T11:30:00Z, to: 2026-11-25T13:00:00Z, title: Done}
incidents:
  - {start: 2026-11-27T12:00:00Z, text: A certificate had expired., updated: 2026-11-28T09:00:00Z}
`)
	v := w.look()
	titles := func(all []notice) (out []string) {
		for _, n := range all {
			out = append(out, n.heading())
		}
		return out
	}
	for _, c := range []struct {
		what string
		got  []notice
		want string
	}{
		{"announcements", v.announcements, "[Slow today]"}, {"maintenance", v.maintenance, "[A move An upgrade]"},
		{"past", v.past, "[Problems: Login Over Done]"},
	} {
		if got := fmt.Sprint(titles(c.got)); got != c.want {
			t.Errorf("%s: got %s, expected %s", c.what, got, c.want)
		}
	}
	if v.parts[1].state != inMaintenance || v.parts[0].state != operational || v.sentence != "Maintenance is in progress" {
		t.Errorf("got %v, %v, %q", v.parts[0].state, v.parts[1].state, v.sentence)
	}
	contains(t, v.texts()[pageName], "<p>First.</p><p>Second.</p>", "A certificate had expired.")

	// A mistake leaves what was there, and is reported with its line.
	s := w.site()
	s.look(w.page, now)
	write(t, w.page.Notices, "announcements:\n  - {at: yesterday, titel: x}\n  - {at: 2026-11-28T11:00:00Z, title: b, components: [Lgoin]}\n")
	if v := s.look(w.page, now); len(v.announcements) != 1 {
		t.Errorf("a mistake removed the announcements: %v", v.announcements)
	}
	want := strings.ReplaceAll(`FILE:2: announcements[0].at: wants a time after RFC 3339, such as 2026-11-22T22:00:00Z
FILE:2: announcements[0]: unknown key titel; did you mean title?
FILE:3: components names no component of the page; did you mean Login?`, "FILE", w.page.Notices)
	if got := fmt.Sprint(w.wrong["notices"]); got != want {
		t.Errorf("got:\n%s\nexpected:\n%s", got, want)
	}
	write(t, w.page.Notices, "announcements: []")
	if v := s.look(w.page, now); len(v.announcements) != 0 || w.wrong["notices"] != nil {
		t.Errorf("got %v, %v", v.announcements, w.wrong["notices"])
	}
}

// TestReadNotices_refuses what the page could not show.
func TestReadNotices_refuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "login")
	for text, want := range map[string]string{
		"announcements: [{at: 2026-11-28T11:00:00Z, title: a}, {at: 2026-11-28T11:00:00Z, title: b}]":                                                                                                           "of the same time",
		"announcements: [{at: 2026-11-28T11:00:00Z, title: ' '}]":                                                                                                                                               "title wants",
		"announcements: [{at: 2026-11-28T11:00:00Z, until: 2026-11-28T11:00:00Z, title: a}]":                                                                                                                    "until must be after",
		"announcements: [{at: 2026-11-28T11:00:00Z, title: a, text: \"\\e\"}]":                                                                                                                                  "text wants",
		"maintenance: [{at: 2026-11-28T11:00:00Z, from: 2026-11-28T11:00:00Z, title: a}]":                                                                                                                       "to is missing",
		"maintenance: [{at: 2026-11-28T11:00:00Z, from: 2026-11-28T11:00:00Z, to: 2026-11-28T10:00:00Z, title: a}]":                                                                                             "to must be after",
		"maintenance: [{at: 2026-11-28T11:00:00Z, from: 2026-01-28T11:00:00Z, to: 2026-11-28T10:00:00Z, title: a}]":                                                                                             "31 days",
		"maintenance: [{at: 2026-11-28T11:00:00Z, from: 2026-11-28T11:00:00Z, to: 2026-12-29T11:00:01Z, title: a}]":                                                                                             "31 days",
		"maintenance: [{at: 2026-11-28T11:00:00Z, from: 2026-11-28T11:00:00Z, to: 2026-11-28T12:00:00Z, title: a}, {at: 2026-11-28T11:00:00Z, from: 2026-11-29T11:00:00Z, to: 2026-11-29T12:00:00Z, title: b}]": "of the same time",
		"announcements: [{at: 1999-12-31T23:59:59Z, title: a}]":                                                                                                                                                 "wants a time after RFC 3339",
		"incidents: [{start: 2026-11-28T11:00:00Z, text: ''}]":                                                                                                                                                  "text wants",
		"announcements: [" + strings.Repeat("{at: 2026-11-28T11:00:00Z, title: a},", 101) + "]":                                                                                                                 "at most 100",
		"announcements: {}":                    "wants a list",
		"- a":                                  "wants keys",
		"a: &a [*a]":                           "",
		strings.Repeat("#", maxNoticesBytes+1): "larger than 256 KiB",
	} {
		write(t, w.page.Notices, text)
		if _, err := readNotices(w.page.Notices, w.page.Components); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: got %v, expected %q", text, err, want)
		}
	}
}

// TestReadNotices_bounds: what is just allowed.
func TestReadNotices_bounds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "login")
	for _, text := range []string{
		"maintenance: [{at: 2026-11-28T11:00:00Z, from: 2026-11-28T11:00:00Z, to: 2026-12-29T11:00:00Z, title: a}]",
		"announcements: []\n" + strings.Repeat("#", maxNoticesBytes-len("announcements: []\n")),
	} {
		write(t, w.page.Notices, text)
		if _, err := readNotices(w.page.Notices, w.page.Components); err != nil {
			t.Errorf("%.80s: %v", text, err)
		}
	}
}

// TestNotices_replaced: a file is read again if anything about it has changed, and nothing stays of a file that is no longer the one.
func TestNotices_replaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "login")
	s := w.site()
	shows := func(want string) {
		t.Helper()
		got := ""
		for _, n := range s.look(w.page, now).announcements {
			got += n.title
		}
		if got != want {
			t.Errorf("the page has %q, expected %q", got, want)
		}
	}
	const text = "announcements: [{at: 2026-11-28T11:00:00Z, title: X}]"
	set := func(path, title string, at time.Time) {
		write(t, path, strings.Replace(text, "X", title, 1))
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	path := w.page.Notices
	set(path, "a", now)
	shows("a")
	set(path, "b", now.Add(time.Second)) // written in place
	shows("b")
	set(path+".new", "c", now.Add(time.Second)) // as a ConfigMap is: another file of the same size and time
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	shows("c")
	other := *w.page
	other.Notices = path + ".gone"
	w.page = &other
	shows("")
	if w.wrong["notices"] == nil {
		t.Error("nothing is said of a file that does not exist")
	}
}

// TestPage_withoutIncidents: days can be read and incidents cannot, so that it claims none.
func TestPage_withoutIncidents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "login")
	w.noIncidents = errors.New("the incidents cannot be read at the moment")
	page := w.look().texts()[pageName]
	contains(t, page, "All components are operational", "The past cannot be shown at the moment.")
	if strings.Contains(page, "No incidents") {
		t.Error("it claims that there were none")
	}
}

// TestPage_withoutHistory still tells the state, and that the past is missing.
func TestPage_withoutHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "login")
	w.err = errors.New("the history cannot be read at the moment")
	page := w.look().texts()[pageName]
	contains(t, page, "All components are operational", "The past cannot be shown at the moment.")
	if strings.Contains(page, "No incidents") || strings.Contains(page, `class="bars"`) {
		t.Error("it claims a past")
	}
	if w.wrong["history"] == nil || w.wrong["incidents"] == nil {
		t.Errorf("reported %v", w.wrong)
	}
}

// TestFeed_isBounded: the feed has the fifty that changed last.
func TestFeed_isBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "login")
	text := "announcements:\n"
	for i := range 60 {
		text += fmt.Sprintf("  - {at: 2026-11-28T10:%02d:00Z, title: 'number %d'}\n", i, i)
	}
	write(t, w.page.Notices, text)
	feed := w.look().texts()[feedName]
	if n := strings.Count(feed, "<entry>"); n != 50 || !strings.Contains(feed, "number 59<") || !strings.Contains(feed, "number 10<") {
		t.Errorf("it has %d entries:\n%.2000s", n, feed)
	}
}

// The elements of RFC 4287.
type (
	atomFeed struct {
		XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
		ID      string      `xml:"id"`
		Title   string      `xml:"title"`
		Updated string      `xml:"updated"`
		Author  string      `xml:"author>name"`
		Links   []atomLink  `xml:"link"`
		Entries []atomEntry `xml:"entry"`
	}
	atomLink struct {
		Rel  string `xml:"rel,attr"`
		Type string `xml:"type,attr,omitempty"`
		Href string `xml:"href,attr"`
	}
	atomEntry struct {
		ID      string   `xml:"id"`
		Title   string   `xml:"title"`
		Updated string   `xml:"updated"`
		Link    atomLink `xml:"link"`
		Content string   `xml:"content"`
	}
)

// TestFeed: it is Atom, its ids stay, and updated is when something changed.
func TestFeed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "login", "front")
	read := func() (f atomFeed) {
		t.Helper()
		if err := xml.Unmarshal([]byte(w.look().texts()[feedName]), &f); err != nil {
			t.Fatal(err)
		}
		return f
	}
	if f := read(); f.ID != "https://status.shop.example/" || f.Updated != "2026-11-28T00:00:00Z" || f.Author == "" || f.Links[0].Href != "https://status.shop.example/feed.atom" {
		t.Errorf("got %+v", f)
	}
	start := now.Add(-30 * time.Minute)
	w.incident(start.Add(time.Nanosecond), time.Time{}, "login")
	w.incident(start.Add(time.Millisecond), start.Add(time.Minute), "front") // of the same second
	write(t, w.page.Notices, "announcements: [{at: 2026-11-28T11:45:00Z, title: a <b> & c}]")
	before := read()
	if len(before.Entries) != 3 || before.Updated != "2026-11-28T11:45:00Z" || before.Entries[0].Title != "a <b> & c" || before.Entries[0].ID != "https://status.shop.example/#announcement-20261128T114500Z" {
		t.Fatalf("got %+v", before)
	}
	ids := map[string]string{}
	for _, e := range before.Entries {
		if name, ok := strings.CutPrefix(e.Title, "Problems: "); ok && !strings.HasSuffix(e.Content, ". "+name+".") {
			t.Errorf("%s: it does not say what it is about: %s", e.Title, e.Content)
		}
		if ids[e.ID] != "" {
			t.Errorf("two entries are %s", e.ID)
		}
		ids[e.ID] = e.Updated
	}
	w.incidents[1].End, w.incidents[1].Ongoing = now.Add(-time.Minute), false
	write(t, w.page.Notices, "announcements: [{at: 2026-11-28T11:45:00Z, title: b, updated: 2026-11-28T11:50:00Z}]\nincidents: [{start: 2026-11-28T11:30:00Z, text: Sorry.}]")
	after := read()
	for _, e := range after.Entries {
		was, known := ids[e.ID]
		if !known {
			t.Errorf("a new id %s", e.ID)
		}
		if changed := e.Updated != was; changed == (e.Title == "Problems: Front") {
			t.Errorf("%s: updated %s, before %s", e.Title, e.Updated, was)
		}
	}
	if after.Updated != "2026-11-28T11:59:00Z" {
		t.Errorf("updated %s", after.Updated)
	}
	// The page has what the links of the feed lead to.
	page := w.look().texts()[pageName]
	for _, e := range after.Entries {
		_, anchor, _ := strings.Cut(e.Link.Href, "#")
		contains(t, page, `id="`+anchor+`"`)
	}
}
