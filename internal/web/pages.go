package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"prober/internal/drop"
)

// Bounds of what readers cost, however slow they are.
const (
	maxPageBytes    = 2 << 20          // of all pages that are being read, compressed; one larger page may be read alone
	maxPlainReaders = 16               // readers that do not take gzip: each needs a decompressor
	readTime        = 20 * time.Second // for one reader and one page
	undisturbed     = time.Second      // before others may take the room of a page that is being read
	maxRest         = time.Second      // after a page, as long as it took to render: readers must not take the probes' time
	roomTime        = 8 * time.Second  // to wait for room; Prometheus gives up after 10
)

// pages renders what is large, one at a time, compressed, and lets all who ask for the same in the meantime read the same:
// slow readers share a page that was rendered after they had asked. If the pages that are being read take too much memory,
// the readers of the oldest are cut off.
type pages struct {
	render chan struct{} // the right to render
	plain  chan struct{} // the readers that do not take gzip
	zip    *gzip.Writer  // of the one who renders

	mu   sync.Mutex
	next map[string]*page // not yet being rendered, by what was asked for
	open []*page          // being read, the oldest first
}

func newPages() *pages {
	zip, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // its only error is an invalid level
	return &pages{render: make(chan struct{}, 1), plain: make(chan struct{}, maxPlainReaders), zip: zip, next: map[string]*page{}}
}

// A page is one response, compressed.
type page struct {
	done    chan struct{} // closed when it is rendered, or never will be
	ok      bool          // it was rendered
	since   time.Time     // when it was rendered
	header  http.Header
	status  int
	body    bytes.Buffer
	length  int                                   // of the body as it is read without gzip
	holders int                                   // who wait for it or read it
	readers map[*http.ResponseController]struct{} // who are reading
}

// serve returns a handler that answers GET and HEAD with pages of h, which sees no headers but Accept, and of the cookies the
// theme.
func (p *pages) serve(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		got := p.ask(h, r)
		defer p.leave(got)
		if !got.ok {
			http.Error(w, "too many readers at once, try again later", http.StatusServiceUnavailable)
			return
		}
		p.write(w, r, got)
	}
}

// ask returns the page for a request: the next one that others wait for too, or a new one.
func (p *pages) ask(h http.HandlerFunc, r *http.Request) *page {
	key := r.URL.RequestURI() + "\n" + strings.Join(r.Header["Accept"], "\n") + "\n" + themeOf(r)
	p.mu.Lock()
	got, others := p.next[key]
	if !others {
		got = &page{done: make(chan struct{}), readers: map[*http.ResponseController]struct{}{}}
		p.next[key] = got
	}
	got.holders++
	p.mu.Unlock()
	if others {
		<-got.done // within roomTime and the time to render
		return got
	}
	defer close(got.done)
	turn := time.NewTimer(roomTime)
	defer turn.Stop()
	room := false
	select {
	case p.render <- struct{}{}:
		room = p.awaitRoom(turn.C)
		began := time.Now()
		defer func() { time.AfterFunc(min(time.Since(began), maxRest), func() { <-p.render }) }()
	case <-turn.C:
	}
	p.mu.Lock()
	delete(p.next, key) // who asks from now on wants to see what happens from now on
	p.mu.Unlock()
	if room {
		p.fill(got, h, r)
	}
	return got
}

// awaitRoom waits until the pages that are being read leave room for another, and reports whether they do.
func (p *pages) awaitRoom(end <-chan time.Time) bool {
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		if p.hasRoom() {
			return true
		}
		select {
		case <-look.C:
		case <-end:
			return false
		}
	}
}

// hasRoom reports whether there is room for another page, and cuts off the readers of the oldest if there is none.
func (p *pages) hasRoom() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	held := 0
	for _, o := range p.open {
		held += o.body.Cap()
	}
	if held <= maxPageBytes {
		return true
	}
	if oldest := p.open[0]; time.Since(oldest.since) > undisturbed {
		for reader := range oldest.readers {
			_ = reader.SetWriteDeadline(time.Now())
		}
	}
	return false
}

// fill renders a page.
func (p *pages) fill(got *page, h http.HandlerFunc, r *http.Request) {
	asked := r.Clone(r.Context())
	asked.Method = http.MethodGet
	asked.Header = http.Header{"Accept": r.Header["Accept"]}
	if theme := themeOf(r); theme != "" {
		asked.AddCookie(&http.Cookie{Name: themeCookie, Value: theme})
	}
	rec := &recorder{page: got, zip: p.zip}
	got.header = http.Header{}
	h(rec, asked)
	rec.close()
	p.mu.Lock()
	defer p.mu.Unlock()
	got.ok, got.since = true, time.Now()
	p.open = append(p.open, got)
}

// write sends a page to one reader.
func (p *pages) write(w http.ResponseWriter, r *http.Request, got *page) {
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(readTime))
	p.mu.Lock()
	got.readers[control] = struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(got.readers, control)
	}()
	maps.Copy(w.Header(), got.header)
	length, body := got.body.Len(), io.Reader(bytes.NewReader(got.body.Bytes()))
	if takesGzip(r.Header) {
		w.Header().Set("Content-Encoding", "gzip")
	} else {
		select {
		case p.plain <- struct{}{}:
			defer func() { <-p.plain }()
		default:
			http.Error(w, "too many readers at once that do not accept gzip, try again later", http.StatusServiceUnavailable)
			return
		}
		length = got.length
		body, _ = gzip.NewReader(body) // its only error is a page that is not compressed
	}
	w.Header().Set("Content-Length", strconv.Itoa(length))
	w.WriteHeader(got.status)
	io.CopyBuffer(onlyWriter{w}, onlyReader{body}, make([]byte, 16<<10)) // net/http leaves out the body of HEAD
}

// onlyWriter and onlyReader hide every other method, so that the copy has the size that it is given. Of one that is larger than the
// socket's buffer, the reader's kernel acknowledges each part only after a delay of 40 ms, because nothing follows.
type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)

// leave forgets a page that nobody reads any more.
func (p *pages) leave(got *page) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if got.holders--; got.holders == 0 {
		p.open = drop.If(p.open, func(o *page) bool { return o == got })
	}
}

// A recorder is the http.ResponseWriter that fills a page.
type recorder struct {
	*page
	zip *gzip.Writer
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if r.status != 0 {
		return
	}
	r.status = status
	r.header.Del("Content-Length")
	r.header.Add("Vary", "Accept-Encoding") // each reader is told for itself
	r.zip.Reset(&r.body)
}

func (r *recorder) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	r.length += len(b)
	return r.zip.Write(b)
}

func (r *recorder) close() {
	r.WriteHeader(http.StatusOK)
	r.zip.Close()
	r.zip.Reset(io.Discard)
}

// takesGzip reports whether a reader takes gzip.
func takesGzip(h http.Header) bool {
	for coding := range strings.SplitSeq(strings.Join(h["Accept-Encoding"], ","), ",") {
		name, weight, _ := strings.Cut(strings.ReplaceAll(coding, " ", ""), ";q=")
		if q, err := strconv.ParseFloat(weight, 64); strings.EqualFold(name, "gzip") {
			return weight == "" || err == nil && q > 0
		}
	}
	return false
}
