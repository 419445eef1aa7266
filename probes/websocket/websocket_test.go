package websocket

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/config"
	"prober/internal/probe"
	"prober/probes/internal/expect"
	"prober/probes/internal/probetest"
)

// A peer is the server's side of a WebSocket.
type peer struct {
	net.Conn
	in *bufio.Reader
}

// frame is one of a server: the first byte, a length in its shortest form, and the data.
func frame(first byte, data string) string {
	head := []byte{first}
	switch n := len(data); {
	case n < 126:
		head = append(head, byte(n))
	case n < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, 126), uint16(n))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 127), uint64(n))
	}
	return string(head) + data
}

func closing(code uint16) string {
	return frame(0x88, string(binary.BigEndian.AppendUint16(nil, code)))
}

// read reads a frame of the client, which must be masked.
func (p *peer) read() (op byte, data string, err error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(p.in, head); err != nil {
		return 0, "", err
	}
	size := int(head[1] & 0x7f)
	if size == 126 {
		long := make([]byte, 2)
		io.ReadFull(p.in, long)
		size = int(binary.BigEndian.Uint16(long))
	}
	body := make([]byte, 4+size)
	if _, err := io.ReadFull(p.in, body); err != nil || head[1]&0x80 == 0 {
		return 0, "", fmt.Errorf("a frame without a mask, or cut off: %v", err)
	}
	for i := range size {
		body[4+i] ^= body[i%4]
	}
	return head[0] & 0x0f, string(body[4:]), nil
}

// echo answers as a sound server does.
func (p *peer) echo() {
	for {
		op, data, err := p.read()
		if err != nil {
			return
		}
		switch op {
		case 8:
			io.WriteString(p, frame(0x88, data))
			return
		case 9:
			op = 10
		}
		io.WriteString(p, frame(0x80|op, data))
	}
}

// accept is the header that answers a key.
func accept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// serve accepts WebSockets and handles each.
func serve(t *testing.T, handle func(p *peer)) string {
	return serveHTTP(t, func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Sec-WebSocket-Accept", accept(q.Header.Get("Sec-WebSocket-Key")))
		upgrade(w, handle)
	})
}

func upgrade(w http.ResponseWriter, handle func(p *peer)) {
	w.Header().Set("Upgrade", "websocket")
	w.Header().Set("Connection", "Upgrade")
	takeOver(w, handle)
}

func takeOver(w http.ResponseWriter, handle func(p *peer)) {
	w.WriteHeader(http.StatusSwitchingProtocols)
	nc, in, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer nc.Close()
	handle(&peer{nc, in.Reader})
}

func serveHTTP(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

// load reads the settings of a probe as YAML.
func load(t *testing.T, url, settings string) *Probe {
	t.Helper()
	text := "system: test\nprobes:\n  - name: p\n    type: websocket\n    url: " + url + "/socket?a=b\n" + settings
	cfg, err := config.Parse(probe.Kinds{"websocket": Kind()}, config.File{Name: filepath.Join(t.TempDir(), "prober.yaml"), Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Jobs[0].Probe.(*Probe)
}

// silence is how long a run takes whose server does not say what is expected. A busy machine gets there within it.
const silence = 2 * time.Second

// run runs a probe for a short time.
func run(t *testing.T, p *Probe, timeout time.Duration) probe.Result {
	t.Helper()
	job := probe.Job{ID: probe.ID{System: "s", Name: "p", Type: "websocket"}, Kind: Kind(), Probe: p, Timeout: timeout}
	r := probetest.Do(t.Context(), job)
	if err := Kind().Undeclared(r); err != nil {
		t.Error(err)
	}
	return r
}

const opened = "upgrade pass(ok): the server accepts the WebSocket"

func TestWebSocket(t *testing.T) {
	t.Parallel()
	url := serve(t, (*peer).echo)
	for settings, want := range map[string]string{
		"":                                  "pass\n" + opened + "\nclose pass(ok): closed with 1000 (normal closure)",
		"    ping: true\n    latency: 4s\n": "pass\n" + opened + "\nping pass(ok): the pong matches the ping\nclose pass(ok): *\nlatency pass(ok): *",
		"    dialogue:\n      - {send: hello}\n      - {expect: hello, send_binary: AAEC}\n      - {expect_binary: AAEC}\n      - {send: '{\"a\": {\"b\": 2}}'}\n      - json: {$.a.b: {min: 2}}\n": "pass\n" + opened + "\ndialogue pass(ok): 5 steps as expected\nclose pass(ok): *",
		"    dialogue: [{send: \"" + strings.Repeat("long ", 1500) + "\"}, {expect: {match: \"^(long )+$\"}}]\n":                                                                                    "pass\n" + opened + "\ndialogue pass(ok): *\nclose pass(ok): *",
		"    dialogue: [{send: a}, {send: b}, {expect: b}]\n": "pass\n" + opened + "\ndialogue pass(ok): *\nclose pass(ok): *",
		"    close_code: 1001\n":                              "fail\n" + opened + "\nclose fail(close_code): expected the server to close with 1001 (going away), got 1000 (normal closure)",
	} {
		probetest.WantLines(t, probetest.Run(t, Kind(), load(t, url, settings)), strings.Split(want, "\n")...)
	}
	r := run(t, load(t, url, "    dialogue: [{send: a}, {expect: b}]\n"), silence)
	probetest.WantLines(t, r, "fail", opened, `dialogue fail(unexpected_message): expected "b", got 1 message that does not match until the end of the run (dialogue[1])`)
	for settings, want := range map[string]string{
		"    dialogue: [{send: '{\"a\": 1}'}, {json: {$.a: 2}}]\n":        "expected a message with 1 JSON value, got 1 message that does not match until the end of the run (dialogue[1])",
		"    dialogue: [{send_binary: AAEC}, {expect_binary: AAED}]\n":    "expected a binary message of 3 bytes, got 1 message that does not match until the end of the run (dialogue[1])",
		"    dialogue: [{send: ABC}, {expect_binary: QUJD}]\n":            "expected a binary message of 3 bytes, got 1 message that does not match until the end of the run (dialogue[1])",
		"    dialogue: [{send_binary: QUJD}, {expect: ABC}]\n":            `expected "ABC", got 1 message that does not match until the end of the run (dialogue[1])`,
		"    dialogue: [{send_binary: eyJhIjogMX0=}, {json: {$.a: 1}}]\n": "expected a message with 1 JSON value, got 1 message that does not match until the end of the run (dialogue[1])",
	} {
		t.Run(settings, func(t *testing.T) {
			t.Parallel()
			probetest.WantLines(t, run(t, load(t, url, settings), silence), "fail", opened, "dialogue fail(unexpected_message): "+want)
		})
	}
	r = run(t, load(t, url, "    dialogue: [{expect: b}]\n"), silence)
	if why := r.Decisive(); why.Name != "dialogue" || why.Reason != probe.Timeout || !strings.HasSuffix(why.Detail, "(waiting for dialogue[0])") {
		t.Errorf("expected a timeout, got %s", probetest.Lines(r))
	}
	if x := r.Exchanges[0]; x.Status != 101 || x.Reason != probe.Timeout || x.Expected || !strings.HasPrefix(x.URL, "ws://127.0.0.1:") || strings.Contains(x.URL, "?") {
		t.Errorf("got the exchange %+v", x)
	}
}

// TestWebSocket_refused tells apart what answers in place of a WebSocket.
func TestWebSocket_refused(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, q *http.Request) { w.WriteHeader(code) }
	}
	with := func(name, value string, more ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, q *http.Request) {
			h := w.Header()
			h["Sec-Websocket-Accept"], h["Upgrade"], h["Connection"] = []string{accept(q.Header.Get("Sec-WebSocket-Key"))}, []string{"WebSocket"}, []string{"keep-alive, upgrade"}
			if h[name] = append(more, value); value == "" {
				delete(h, name)
			}
			takeOver(w, (*peer).echo)
		}
	}
	const protocols = "    subprotocols: [chat.v2, chat.v1]\n"
	for name, test := range map[string]struct {
		handle         http.HandlerFunc
		settings, want string
	}{
		"a page":                {status(200), "", "fail(not_upgraded): expected 101, got 200: something that does not know WebSocket answers, such as a proxy"},
		"headers that are lost": {status(426), "", "fail(not_upgraded): expected 101, got 426: *"},
		"a path that is gone":   {status(404), "", "fail(status): expected 101, got 404"},
		"an error":              {status(502), "", "fail(status): expected 101, got 502"},
		"a page of a cache":     {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Age", "60"); w.WriteHeader(404) }, "", "fail(status): expected 101, got 404"},
		"a redirect":            {status(302), "", "fail(redirect): expected 101, got 302: redirects are not followed"},
		"no credential":         {status(401), "", "fail(status): expected 101, got 401: no credential was sent, so anybody gets it"},
		"another credential":    {status(403), "    bearer: {env: WEBSOCKET_TEST_TOKEN}\n", "inconclusive(credential): expected 101, got 403: the target does not accept the probe's credential"},
		"a limited rate":        {status(429), "    bearer: {env: WEBSOCKET_TEST_TOKEN}\n", "inconclusive(rate_limited): *"},
		"no accept":             {with("Sec-Websocket-Accept", ""), "", "fail(bad_handshake): expected a Sec-WebSocket-Accept that was made from the key of the request, got none or another"},
		"another accept":        {with("Sec-Websocket-Accept", accept("x")), "", "fail(bad_handshake): expected a Sec-WebSocket-Accept *"},
		"another protocol":      {with("Upgrade", "h2c"), "", "fail(bad_handshake): expected the headers Upgrade: websocket and Connection: Upgrade, got others"},
		"no Connection":         {with("Connection", ""), "", "fail(bad_handshake): expected the headers *"},
		"an extension":          {with("Sec-Websocket-Extensions", "permessage-deflate"), "", "fail(bad_handshake): expected no extension, since none was offered, got some"},
		"a subprotocol unasked": {with("Sec-Websocket-Protocol", "chat.v1"), "", "fail(subprotocol): expected one of the subprotocols that were offered, got another"},
		"another subprotocol":   {with("Sec-Websocket-Protocol", "chat.v3"), protocols, "fail(subprotocol): expected one of the subprotocols that were offered, got another"},
		"two subprotocols":      {with("Sec-Websocket-Protocol", "chat.v1", "chat.v2"), protocols, "fail(subprotocol): *"},
		"no subprotocol":        {with("Sec-Websocket-Protocol", ""), protocols, "fail(subprotocol): expected one of the subprotocols chat.v2, chat.v1, got none"},
		"a subprotocol":         {with("Sec-Websocket-Protocol", "chat.v1"), protocols, "pass(ok): the server accepts the WebSocket, with the subprotocol chat.v1"},
		"case does not matter":  {with("X", "y"), "", "pass(ok): the server accepts the WebSocket"},
	} {
		t.Setenv("WEBSOCKET_TEST_TOKEN", "tr0ub4dor")
		r := probetest.Run(t, Kind(), load(t, serveHTTP(t, test.handle), test.settings))
		want, got := "upgrade "+test.want, strings.Split(probetest.Lines(r), "\n")[1]
		if prefix, ok := strings.CutSuffix(want, "*"); got != want && !(ok && strings.HasPrefix(got, prefix)) || strings.Contains(want, "pass") != (r.Verdict() == probe.Pass) {
			t.Errorf("%s: expected %s, got %s", name, want, probetest.Lines(r))
		}
	}
}

// TestWebSocket_hostile ends with a reason, and in time, whatever the server sends.
func TestWebSocket_hostile(t *testing.T) {
	t.Parallel()
	wait := func(p *peer) { io.Copy(io.Discard, p.in) } // until the client is gone
	says := func(data ...string) func(*peer) {
		return func(p *peer) {
			for _, d := range data {
				io.WriteString(p, d)
			}
			wait(p)
		}
	}
	repeats := func(data string) func(*peer) {
		return func(p *peer) {
			go wait(p)
			for {
				if _, err := io.WriteString(p, data); err != nil {
					return
				}
			}
		}
	}
	for name, test := range map[string]struct {
		handle func(*peer)
		want   string
	}{
		"a frame of 2^63":          {says("\x81\x7f\x80\x00\x00\x00\x00\x00\x00\x00"), "bad_frame): the server sent a length that is not written as the protocol has it (waiting for dialogue[0])"},
		"a frame of 2^62":          {says("\x81\x7f\x40\x00\x00\x00\x00\x00\x00\x00"), "self_limit): expected messages of at most 256 KiB, got one of 4611686018427387904 bytes or more (waiting for dialogue[0])"},
		"a length too long":        {says("\x81\x7e\x00\x05hello"), "bad_frame): the server sent a length that is not written as the protocol has it*"},
		"fragments too large":      {repeats(frame(0x00, strings.Repeat("a", 60000))), "bad_frame): the server sent a frame that continues no message*"},
		"a large message":          {says(frame(0x01, strings.Repeat("a", 60000)), strings.Repeat(frame(0x00, strings.Repeat("a", 60000)), 5)), "self_limit): *"},
		"fragments without end":    {func(p *peer) { io.WriteString(p, frame(0x01, "")); repeats(frame(0x00, ""))(p) }, "bad_frame): the server sent more than 10000 frames on one connection*"},
		"pings without end":        {repeats(frame(0x89, "x")), "bad_frame): the server sent more than 10000 frames on one connection*"},
		"messages without end":     {repeats(frame(0x81, strings.Repeat("a", 60000))), "protocol): the server at 127.0.0.1:* sent more than any answer needs"},
		"a mask":                   {says("\x81\x85abcdhello"), "bad_frame): the server sent a masked frame, which only clients send*"},
		"reserved bits":            {says(frame(0xc1, "x")), "bad_frame): the server sent reserved bits*"},
		"a reserved opcode":        {says(frame(0x83, "x")), "bad_frame): the server sent a frame with the unknown opcode 3*"},
		"a reserved control":       {says(frame(0x8b, "x")), "bad_frame): the server sent a frame with the unknown opcode 11*"},
		"a long ping":              {says(frame(0x89, strings.Repeat("x", 126))), "bad_frame): the server sent a control frame in parts, or of more than 125 bytes*"},
		"a ping in parts":          {says(frame(0x09, "x")), "bad_frame): the server sent a control frame in parts*"},
		"a message in another":     {says(frame(0x01, "a"), frame(0x81, "b")), "bad_frame): the server sent a new message within another one*"},
		"no UTF-8":                 {says(frame(0x81, "\xff")), "bad_frame): the server sent a text that is not UTF-8*"},
		"no UTF-8 in parts":        {says(frame(0x01, "\xc3"), frame(0x80, "\x28")), "bad_frame): the server sent a text that is not UTF-8*"},
		"half a close code":        {says(frame(0x88, "\x03")), "bad_frame): the server sent a close frame with half a code*"},
		"a forbidden close code":   {says(closing(1006)), "bad_frame): the server sent a close frame with the code 1006, which nobody may send*"},
		"an error":                 {says(closing(1011)), "closed): the server closed the WebSocket with 1011 (internal error) (waiting for dialogue[0])"},
		"an error in a message":    {says(frame(0x01, "hel"), closing(1011)), "closed): the server closed the WebSocket with 1011 (internal error) (waiting for dialogue[0])"},
		"a long reason":            {says(frame(0x88, strings.Repeat("x", 126))), "bad_frame): the server sent a control frame in parts, or of more than 125 bytes*"},
		"a rule":                   {says(frame(0x81, "no"), closing(1008)), "closed): the server closed the WebSocket with 1008 (policy violation) (waiting for dialogue[0], after 1 message that does not match)"},
		"a code of its own":        {says(closing(4001)), "closed): the server closed the WebSocket with 4001 (waiting for dialogue[0])"},
		"a close without a code":   {says(frame(0x88, "")), "closed): the server closed the WebSocket with no code (waiting for dialogue[0])"},
		"no close frame":           {func(*peer) {}, "no_close_frame): the server ended the connection without a close frame (waiting for dialogue[0])"},
		"half a frame":             {func(p *peer) { io.WriteString(p, "\x81\x05hel") }, "no_close_frame): *"},
		"a message in parts":       {says(frame(0x01, "hel"), frame(0x89, ""), frame(0x80, "lo"), closing(1000)), "ok): 1 step as expected"},
		"UTF-8 in parts, a prefix": {says(frame(0x01, "\xc3"), frame(0x80, "\xa9"), frame(0x81, "hello"), closing(1000)), "ok): 1 step as expected"},
	} {
		r := run(t, load(t, serve(t, test.handle), "    dialogue: [{expect: hello}]\n"), 20*time.Second)
		got := ""
		for _, c := range r.Checks {
			if c.Name == "dialogue" {
				got = fmt.Sprintf("%s): %s", c.Reason, c.Detail)
			}
		}
		before, after, _ := strings.Cut(test.want, "*")
		if exact := !strings.Contains(test.want, "*"); exact && got != test.want || !strings.HasPrefix(got, before) || !strings.Contains(got, after) {
			t.Errorf("%s: expected %s, got %s", name, test.want, probetest.Lines(r))
		}
		if r.Took > 10*time.Second {
			t.Errorf("%s took %s", name, r.Took)
		}
	}
}

func TestWebSocket_pingAndClose(t *testing.T) {
	t.Parallel()
	answers := func(ping, close string) func(*peer) {
		return func(p *peer) {
			for {
				op, data, err := p.read()
				if err != nil {
					return
				}
				answer := map[byte]string{8: close, 9: ping}[op]
				io.WriteString(p, strings.ReplaceAll(answer, "DATA", data))
			}
		}
	}
	pong, ended := frame(0x8a, "12345678"), closing(1000)
	for name, test := range map[string]struct {
		handle func(*peer)
		want   string
	}{
		"another pong":        {answers(pong, ended), "ping fail(wrong_pong): expected a pong that repeats the ping, got 1 pong that did not"},
		"no pong":             {answers("", ended), "ping fail(timeout): *(waiting for the pong)"},
		"news for a pong":     {answers(frame(0x81, "news"), ended), "ping fail(timeout): *(waiting for the pong, after 1 message that does not match)"},
		"a pong before":       {answers(pong+"\x8a\x08DATA", ended), "close pass(ok): closed with 1000 (normal closure)"},
		"a message before":    {answers(frame(0x81, "news")+"\x8a\x08DATA", frame(0x81, "more")+ended), "close pass(ok): *"},
		"an error at the end": {answers("\x8a\x08DATA", closing(1011)), "close fail(close_code): expected the server to close with 1000 (normal closure), got 1011 (internal error)"},
		"going away":          {answers("\x8a\x08DATA", closing(1001)), "close fail(close_code): expected the server to close with 1000 (normal closure), got 1001 (going away)"},
		"no code":             {answers("\x8a\x08DATA", frame(0x88, "")), "close pass(ok): closed with no code"},
		"no close frame":      {answers("\x8a\x08DATA", ""), "close fail(timeout): *"},
		"half a code":         {answers("\x8a\x08DATA", frame(0x88, "x")), "close fail(bad_frame): *"},
	} {
		timeout := 20 * time.Second
		if strings.Contains(test.want, "timeout") || strings.Contains(test.want, "wrong_pong") {
			timeout = silence
		}
		r := run(t, load(t, serve(t, test.handle), "    ping: true\n"), timeout)
		lines := strings.Split(strings.TrimSpace(probetest.Lines(r)), "\n")
		before, after, open := strings.Cut(test.want, "*")
		if got := lines[len(lines)-1]; got != test.want && !(open && strings.HasPrefix(got, before) && strings.HasSuffix(got, after)) {
			t.Errorf("%s: expected %s, got %s", name, test.want, probetest.Lines(r))
		}
	}
	pings := func(p *peer) {
		io.WriteString(p, frame(0x8a, "unasked"))
		io.WriteString(p, frame(0x89, "are you there"))
		op, data, err := p.read()
		if err != nil || op != 10 || data != "are you there" {
			return
		}
		io.WriteString(p, frame(0x81, "news"))
		if op, _, err = p.read(); err == nil && op == 8 { // and not another pong
			io.WriteString(p, closing(1000))
		}
	}
	probetest.WantLines(t, run(t, load(t, serve(t, pings), "    dialogue: [{expect: news}]\n"), 20*time.Second), "pass", opened, "dialogue pass(ok): *", "close pass(ok): *")
	cut := serve(t, func(p *peer) { p.read() })
	probetest.WantLines(t, probetest.Run(t, Kind(), load(t, cut, "")), "fail", opened, "close fail(no_close_frame): the server ended the connection without a close frame (waiting for the close frame)")
}

// A server that breaks the protocol is told that the prober is done, in the usual way.
func TestWebSocket_leaves(t *testing.T) {
	t.Parallel()
	heard := make(chan string, 1)
	url := serve(t, func(p *peer) {
		io.WriteString(p, frame(0x83, "x"))
		op, data, _ := p.read()
		heard <- fmt.Sprintf("%d %x", op, data)
	})
	probetest.WantLines(t, probetest.Run(t, Kind(), load(t, url, "    dialogue: [{expect: x}]\n")), "fail", opened, "dialogue fail(bad_frame): *")
	if got := <-heard; got != "8 03e8" {
		t.Errorf("the server heard %s", got)
	}
}

// TestWebSocket_request shows what is sent, and that no secret goes to another machine in clear.
func TestWebSocket_request(t *testing.T) {
	t.Setenv("WEBSOCKET_TEST_TOKEN", "tr0ub4dor-and-3")
	var got http.Header
	var said string
	url := serveHTTP(t, func(w http.ResponseWriter, q *http.Request) {
		got = q.Header.Clone()
		w.Header().Set("Sec-WebSocket-Accept", accept(q.Header.Get("Sec-WebSocket-Key")))
		w.Header().Set("Sec-WebSocket-Protocol", "b")
		upgrade(w, func(p *peer) {
			_, said, _ = p.read()
			io.WriteString(p, frame(0x81, "who says "+said+"?")+closing(1008))
		})
	})
	p := load(t, url, "    headers: {Origin: https://shop.example}\n    bearer: {env: WEBSOCKET_TEST_TOKEN}\n    subprotocols: [a, b]\n    dialogue: [{send: {env: WEBSOCKET_TEST_TOKEN}}, {expect: welcome}]\n")
	r := probetest.Run(t, Kind(), p)
	if text := fmt.Sprintf("%+v", r); strings.Contains(text, "tr0ub4dor") || said != "tr0ub4dor-and-3" {
		t.Errorf("expected the secret to be sent and not shown, got %q and %s", said, text)
	}
	for name, want := range map[string]string{
		"Origin": "https://shop.example", "Authorization": "Bearer tr0ub4dor-and-3", "Connection": "Upgrade", "Upgrade": "websocket",
		"Sec-Websocket-Version": "13", "Sec-Websocket-Protocol": "a, b", "Sec-Websocket-Extensions": "",
	} {
		if got.Get(name) != want {
			t.Errorf("%s: expected %q, got %q", name, want, got.Get(name))
		}
	}
	if key, err := base64.StdEncoding.DecodeString(got.Get("Sec-WebSocket-Key")); err != nil || len(key) != 16 {
		t.Errorf("expected a key of 16 bytes, got %q", got.Get("Sec-WebSocket-Key"))
	}
	if probetest.Run(t, Kind(), load(t, url, "")); got["Sec-Websocket-Protocol"] != nil {
		t.Errorf("without subprotocols the header is sent: %q", got["Sec-Websocket-Protocol"])
	}
	_, err := config.Parse(probe.Kinds{"websocket": Kind()}, config.File{Data: []byte("system: s\nprobes: [{name: p, type: websocket, url: 'ws://live.example/', dialogue: [{send: {env: WEBSOCKET_TEST_TOKEN}}]}]\n")})
	if err == nil || !strings.Contains(err.Error(), "would send the credential in clear") {
		t.Errorf("expected a secret in clear to be refused, got %v", err)
	}
}

// TestWebSocket_replicas asks each replica over TLS, and warns of the certificate.
func TestWebSocket_replicas(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Sec-WebSocket-Accept", accept(q.Header.Get("Sec-WebSocket-Key")))
		upgrade(w, (*peer).echo)
	}))
	defer server.Close()
	address := server.Listener.Addr().String()
	p := load(t, "wss://example.com", "    tls: {insecure_skip_verify: true}\n    certificate: {warn: 36500d, fail: 1d}\n    replicas: {static: [\""+address+"\", \"127.0.0.1:1\"], want: 2}\n")
	r := probetest.Run(t, Kind(), p)
	lines := probetest.Lines(r)
	for _, want := range []string{"upgrade@" + address + " pass(ok)", "close@" + address + " pass(ok)", "certificate@" + address + " pass(ok): the certificate is valid for another", "upgrade@127.0.0.1:1 fail(refused)"} {
		if !strings.Contains(lines, want) {
			t.Errorf("expected %s in %s", want, lines)
		}
	}
	if severity, ok := p.CertificateWarning(); !ok || severity != "" {
		t.Error("expected a warning")
	}
	if !slices.ContainsFunc(r.Samples, func(s probe.Sample) bool { return s.Measure == expect.CertificateExpiring && s.Value == 1 }) {
		t.Errorf("expected the series of a certificate about to end, got %v", r.Samples)
	}
}

// FuzzWire finds what makes the reader of frames crash, not end, or return what is no message.
func FuzzWire(f *testing.F) {
	for _, seed := range []string{frame(0x81, "hello"), frame(0x01, "a") + frame(0x89, "") + frame(0x80, "b"), closing(1000), "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", "\x81\x85abcdhello"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		w := &wire{out: io.Discard, in: bufio.NewReader(strings.NewReader(string(data)))}
		for {
			m, err := w.next()
			if err != nil {
				return
			}
			if m.op == opContinuation || len(m.data) > maxMessage || m.op.control() && len(m.data) > maxControl {
				t.Fatalf("got %d with %d bytes", m.op, len(m.data))
			}
			if m.op == opClose {
				_, _ = readClose(m.data)
			}
		}
	})
}

// TestWire_lengths reads each length in the shortest form that it has, and in no other.
func TestWire_lengths(t *testing.T) {
	t.Parallel()
	long := func(form byte, n uint64, bytes int) string {
		return string(binary.BigEndian.AppendUint64([]byte{0x82, form}, n))[:2] + string(binary.BigEndian.AppendUint64(nil, n))[8-bytes:]
	}
	for _, n := range []int{0, 1, 125, 126, 1<<16 - 1, 1 << 16, 1<<17 - 1, maxMessage} {
		w := wire{in: bufio.NewReader(strings.NewReader(frame(0x82, strings.Repeat("x", n))))}
		if m, err := w.next(); err != nil || len(m.data) != n {
			t.Errorf("%d bytes: got %d, %v", n, len(m.data), err)
		}
	}
	for text, want := range map[string]string{
		long(126, 125, 2): "length that is not written", long(127, 1<<16-1, 8): "length that is not written", long(127, 1<<63, 8): "length that is not written",
		frame(0x82, strings.Repeat("x", maxMessage+1)):                  "expected messages of at most",
		frame(0x02, strings.Repeat("x", maxMessage)) + frame(0x80, "x"): "expected messages of at most",
		frame(0x8a, strings.Repeat("x", maxControl+1)):                  "a control frame",
	} {
		w := wire{in: bufio.NewReader(strings.NewReader(text))}
		if m, err := w.next(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: expected %s, got %d bytes, %v", text, want, len(m.data), err)
		}
	}
	w := wire{in: bufio.NewReader(strings.NewReader(frame(0x8a, strings.Repeat("x", maxControl))))}
	if m, err := w.next(); err != nil || len(m.data) != maxControl {
		t.Errorf("a long pong: got %d bytes, %v", len(m.data), err)
	}
}

// TestWire_mask: whatever is sent has a mask of its own, which nobody can predict (RFC 6455, section 5.3).
func TestWire_mask(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 20 {
		var sent bytes.Buffer
		w := wire{out: &sent}
		if err := w.send(opText, []byte("hello")); err != nil || sent.Len() != 2+4+5 || sent.Bytes()[1] != bitMask|5 {
			t.Fatalf("sent %x, %v", sent.Bytes(), err)
		}
		seen[string(sent.Bytes()[2:6])] = true
	}
	if len(seen) < 20 {
		t.Errorf("20 messages have %d masks", len(seen))
	}
}

// TestWire_sentLengths: each length is written in the shortest form that it has.
func TestWire_sentLengths(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{
		0: "\x81\x80", 125: "\x81\xfd", 126: "\x81\xfe\x00\x7e", 1<<16 - 1: "\x81\xfe\xff\xff", 1 << 16: "\x81\xff\x00\x00\x00\x00\x00\x01\x00\x00",
	} {
		var sent bytes.Buffer
		w := wire{out: &sent}
		if err := w.send(opText, make([]byte, n)); err != nil || !strings.HasPrefix(sent.String(), want) || sent.Len() != len(want)+4+n {
			t.Errorf("%d bytes: sent %x..., %d in all, %v", n, sent.Bytes()[:min(sent.Len(), 14)], sent.Len(), err)
		}
	}
}

// TestReadClose: which codes a server may send (RFC 6455, section 7.4, and the registry of IANA).
func TestReadClose(t *testing.T) {
	t.Parallel()
	for code, valid := range map[uint16]bool{
		0: false, 999: false, 1000: true, 1003: true, 1004: false, 1005: false, 1006: false, 1007: true, 1014: true, 1015: false, 2999: false, 3000: true, 4999: true, 5000: false, 65535: false,
	} {
		got, err := readClose(binary.BigEndian.AppendUint16(nil, code))
		if (err == nil) != valid || valid && got != int(code) || closeCodeValid(int(code)) != valid || closeCodeValid(int(code)+1<<16) {
			t.Errorf("%d: got %d, %v", code, got, err)
		}
	}
}

func TestCodeText(t *testing.T) {
	for code, want := range map[int]string{
		1000: "1000 (normal closure)", 1001: "1001 (going away)", 1002: "1002 (protocol error)", 1003: "1003 (unsupported data)", 1004: "1004",
		1007: "1007 (invalid data)", 1008: "1008 (policy violation)", 1009: "1009 (message too big)", 1010: "1010 (extension expected)",
		1011: "1011 (internal error)", 1012: "1012 (service restart)", 1013: "1013 (try again later)", 1014: "1014 (bad gateway)", 3000: "3000", noCode: "no code",
	} {
		if got := codeText(code); got != want {
			t.Errorf("%d: got %s, expected %s", code, got, want)
		}
	}
}

func TestSchemes(t *testing.T) {
	for url, want := range map[string]string{"ws://a": "http://a", "WSS://a": "https://a", "http://a": "", "ws:a": "", "a": ""} {
		if got, ok := asHTTP(url); ok != (want != "") || ok && got != want {
			t.Errorf("%s: got %s, %t", url, got, ok)
		}
	}
	if _, ok := New().CertificateWarning(); ok {
		t.Error("a certificate is warned of that nobody looks at")
	}
}

func TestChecks(t *testing.T) {
	for settings, want := range map[string]string{
		"": "[upgrade close]", "    dialogue: [{send: a}, {expect: b}]\n    ping: true\n    latency: 1s\n": "[upgrade dialogue ping close latency]",
		"    replicas: {static: [\"127.0.0.1:1\"], want: 1}\n": "[upgrade close replicas]",
	} {
		if got := fmt.Sprint(load(t, "ws://127.0.0.1:1", settings).Checks()); got != want {
			t.Errorf("%s: got %s, expected %s", settings, got, want)
		}
	}
}

func TestValidate_steps(t *testing.T) {
	for more, want := range []string{"", "dialogue: expected at most 50 steps, got 51"} {
		p := load(t, "ws://127.0.0.1:1", "    dialogue: [{send: a}, {expect: b}]\n")
		for len(p.Dialogue) < maxSteps+more {
			p.Dialogue = append(p.Dialogue, p.Dialogue[len(p.Dialogue)-2:]...)[:min(len(p.Dialogue)+2, maxSteps+more)]
		}
		got := ""
		if err := p.validateDialogue(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%d steps: got %s, expected %s", len(p.Dialogue), got, want)
		}
	}
}

func TestValidate_subprotocols(t *testing.T) {
	for more, want := range []string{"", "subprotocols: expected at most 20, got 21"} {
		p := New()
		for i := range maxSubprotocols + more {
			p.Subprotocols = append(p.Subprotocols, fmt.Sprint("v", i))
		}
		got := ""
		if err := p.validateSubprotocols(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%d subprotocols: got %s, expected %s", len(p.Subprotocols), got, want)
		}
	}
}
