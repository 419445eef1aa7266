package sandbox

import (
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strconv"
)

// ledgerRoute is the call that asks for the health (grpc.health.v1).
const ledgerRoute = "POST /grpc.health.v1.Health/Check"

// Services of the gRPC server. The empty name is the server as a whole.
const (
	ledgerService  = "ledger.v1.Ledger"
	archiveService = "ledger.v1.Archive" // a standby, which must get no requests
)

// Values of HealthCheckResponse.status, and codes of gRPC.
const (
	servingHealth    = 1
	notServingHealth = 2

	codeNotFound      = 5
	codeUnimplemented = 12
	codeUnavailable   = 14
)

// ledgerHealth is the health of each service without faults.
func ledgerHealth() map[string]byte {
	return map[string]byte{"": servingHealth, ledgerService: servingHealth, archiveService: notServingHealth}
}

// serveLedger makes a host a gRPC server, over HTTP/2 without TLS.
func serveLedger(h *host) {
	h.serve = func(l net.Listener) func() {
		var protocols http.Protocols
		protocols.SetUnencryptedHTTP2(true)
		return serveProtocols(l, h.mux, &protocols)
	}
	h.handle(ledgerRoute, func(w http.ResponseWriter, r *http.Request) { answerHealth(w, askedService(r), ledgerHealth()) })
}

// askedService returns the name in a HealthCheckRequest, as the prober writes it.
func askedService(r *http.Request) string {
	const prefix, header = 5, 2 // of the message, and of the field
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<10))
	if err != nil || len(body) < prefix+header {
		return ""
	}
	return string(body[prefix+header:])
}

// answerHealth answers with the health of a service, or that there is no such service.
func answerHealth(w http.ResponseWriter, service string, known map[string]byte) {
	health, ok := known[service]
	if !ok {
		failCall(w, codeNotFound)
		return
	}
	writeMessage(w, []byte{8, health})
	w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
}

// writeMessage begins an answer with one message.
func writeMessage(w http.ResponseWriter, message []byte) {
	w.Header().Set("Content-Type", "application/grpc")
	_, _ = w.Write(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...))
}

// failCall answers with a code alone.
func failCall(w http.ResponseWriter, code int) {
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Grpc-Status", strconv.Itoa(code))
	w.WriteHeader(http.StatusOK)
}
