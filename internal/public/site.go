// Package public has the page for customers: how the components of the product do and did, and what operators say about it.
//
// It is for anybody on the internet. It shows no reason, address, version, label or name of a probe, and nothing that a reader
// sends changes what it does. It is rendered at most every few seconds, however many read it.
package public

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"time"

	"prober/internal/probe"
)

// Options are what a Site shows. None of the functions may be nil.
type Options struct {
	Page      func() *probe.PublicPage // as configured; nil if there is none
	LastRuns  func([]probe.ID) []probe.LastRun
	Joint     readDays
	Incidents func(before time.Time) ([]probe.IncidentRecord, error) // the last ones before a time, or of all if it is zero
	Report    func(part string, err error)                           // of logo, notices, history, incidents or export: what is wrong with it; nil if nothing is
	Complete  bool                                                   // a page waits until all of the past is read
}

// maxAge is how old a rendered page may be.
const maxAge = 5 * time.Second

// A Site is the public page with its feed. Its methods may be called from several goroutines.
type Site struct {
	options Options
	files   files
	days    dayCache

	mu       sync.Mutex
	page     *probe.PublicPage // the first of those in a row that are equal
	last     *probe.PublicPage // as configured last
	rendered *rendering

	expanding chan struct{} // holds one for each reader that does not accept gzip
}

// New returns a Site.
func New(o Options) *Site { return &Site{options: o, expanding: make(chan struct{}, maxExpanding)} }

func (s *Site) report(part string, err error) { s.options.Report(part, err) }

// A rendering is everything that is served, as of one time; nil documents if no page is configured.
type rendering struct {
	at        time.Time
	page      *probe.PublicPage
	documents []document
}

// A document is one of the few things that are served.
type document struct {
	name, kind string
	plain, zip []byte // one of them: the shorter
	size       int    // uncompressed
}

// current returns what is served now. Who asks while it is rendered waits for it: that takes a few seconds at most.
func (s *Site) current() *rendering {
	s.mu.Lock()
	defer s.mu.Unlock()
	page, now := s.configured(), time.Now()
	if r := s.rendered; r != nil && r.page == page && now.Sub(r.at) < maxAge && !now.Before(r.at) {
		return r
	}
	s.rendered = &rendering{at: now, page: page}
	if page != nil {
		s.rendered.documents = s.look(page, now).documents()
	}
	return s.rendered
}

// configured returns the page as configured. It is another one only if something of it has changed: most reloads change
// nothing, and what is known of the page still holds. Site.mu is held.
func (s *Site) configured() *probe.PublicPage {
	if now := s.options.Page(); now != s.last {
		if s.last = now; !reflect.DeepEqual(now, s.page) {
			s.page = now
		}
	}
	return s.page
}

// CheckFiles returns what is wrong with the files that a page names.
func CheckFiles(page *probe.PublicPage) (wrong []error) {
	if page != nil {
		new(files).read(page, func(_ string, err error) {
			if err != nil {
				wrong = append(wrong, err)
			}
		})
	}
	return wrong
}

// files remembers the files that a page names. What cannot be used leaves what was there before.
type files struct {
	page    *probe.PublicPage
	logo    *logo
	notices *notices
	seen    [2]fs.FileInfo
	wrong   [2]error
}

// read reads the files that have changed, and reports for each what is wrong with it.
func (f *files) read(page *probe.PublicPage, report func(part string, err error)) (*logo, *notices) {
	if f.page == nil || f.page.Logo != page.Logo {
		f.logo = nil
	}
	if f.page == nil || f.page.Notices != page.Notices {
		f.notices = &notices{}
	}
	if f.page != page { // the components may be others
		f.page, f.seen = page, [2]fs.FileInfo{}
	}
	report("logo", f.once(0, page.Logo, func() error {
		l, err := readLogo(page.Logo)
		if err == nil {
			f.logo = l
		}
		return err
	}))
	report("notices", f.once(1, page.Notices, func() error {
		n, err := readNotices(page.Notices, page.Components)
		if err == nil {
			f.notices = n
		}
		return err
	}))
	return f.logo, f.notices
}

// once reads a file if it is another one than the last time.
func (f *files) once(i int, path string, read func() error) error {
	if path == "" {
		return nil
	}
	about, err := os.Stat(path)
	if err != nil {
		f.seen[i] = nil
		return withPath(path, err)
	}
	if was := f.seen[i]; was == nil || !os.SameFile(was, about) || !was.ModTime().Equal(about.ModTime()) || was.Size() != about.Size() {
		f.seen[i], f.wrong[i] = about, withPath(path, read())
	}
	return f.wrong[i]
}

// withPath returns an error that begins with a path.
func withPath(path string, err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return errors.New(filepath.Clean(path) + ": " + pe.Err.Error())
	}
	return err
}
