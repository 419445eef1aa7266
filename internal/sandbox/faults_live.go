package sandbox

// liveFaults break the WebSocket service: the handshake, what it says, and how it closes.
func liveFaults() []Fault {
	const (
		proxy  = "a proxy that does not know WebSocket"
		client = "clients that wait for ever, or connect again and again"
		frames = "frames that browsers refuse"
	)
	says := func(frame string) []*effect { return onLive(func(l *liveServer) { l.welcome = frame }) }
	return []Fault{
		{"live-down", "the WebSocket service refuses connections", client, []*effect{refuseConnections(live)}},
		{"live-page", "a proxy answers 200 and a page in place of the WebSocket service", proxy, onLive(func(l *liveServer) { l.status = "200 OK" })},
		{"live-unavailable", "a proxy answers 503: the WebSocket service is gone", proxy, onLive(func(l *liveServer) { l.status = "503 Service Unavailable" })},
		{"live-cached-handshake", "the WebSocket service answers the key of another client, as from a cache", proxy, onLive(func(l *liveServer) { l.foreignKey = true })},
		{"live-no-subprotocol", "the WebSocket service no longer speaks the subprotocol of its clients", client, onLive(func(l *liveServer) { l.subprotocol = "" })},
		{"live-silent", "the WebSocket service accepts connections and answers no message", client, onLive(func(l *liveServer) { l.silent = true })},
		{"live-rejects", "the WebSocket service closes with 1008: it does not accept who says hello", client, says(webSocketClose(1008))},
		{"live-crashes", "the WebSocket service ends each connection without a close frame", client, says("")},
		{"live-masked", "the WebSocket service masks its frames, which only clients do", frames, says("\x81\x82abcdhi")},
		{"live-huge-frame", "the WebSocket service announces a frame of 2^63 bytes", frames, says("\x81\x7f\x80\x00\x00\x00\x00\x00\x00\x00")},
		{"live-close-error", "the WebSocket service answers the close frame with 1011", client, onLive(func(l *liveServer) { l.closing = 1011 })},
	}
}
