package sandbox

import "net/http"

// ledgerFaults break the gRPC server: its health, and how it answers.
func ledgerFaults() []Fault {
	const (
		ready   = "the ledger is SERVING"
		names   = "the ledger registers its services"
		standby = "the standby gets no requests"
		between = "something between clients and the server does not know gRPC"
	)
	answers := func(i interceptor) []*effect { return []*effect{on([]string{ledger}, ledgerRoute, i)} }
	return []Fault{
		{"ledger-down", "the ledger refuses connections", ready, []*effect{refuseConnections(ledger)}},
		{"ledger-hangs", "the ledger accepts calls and never answers", ready, answers(hang)},
		{"ledger-not-serving", "the ledger says NOT_SERVING of its service", ready, answers(sayHealth(ledgerService, notServingHealth))},
		{"ledger-health-unset", "the ledger has not set the health of its service: UNKNOWN", ready, answers(sayHealth(ledgerService, 0))},
		{"ledger-service-missing", "the ledger does not know its service any more: NOT_FOUND", names, answers(forgetService)},
		{"ledger-no-health", "the ledger has no health service: UNIMPLEMENTED", names, answers(failWith(codeUnimplemented))},
		{"ledger-same-answer", "the ledger says SERVING whatever it is asked", names, answers(saySame)},
		{"ledger-standby-serving", "the ledger's archive, a standby, says SERVING", standby, answers(sayHealth(archiveService, servingHealth))},
		{"ledger-unavailable", "a proxy without a backend answers for the ledger: UNAVAILABLE", between, answers(failWith(codeUnavailable))},
		{"ledger-no-trailer", "a proxy drops the trailer, which has the status of gRPC", between, answers(dropTrailer)},
		{"ledger-page", "the page of a proxy answers for the ledger: 200 and HTML", between, answers(respondPage(200, welcomePage))},
	}
}

// sayHealth changes the health of one service.
func sayHealth(service string, health byte) interceptor {
	known := ledgerHealth()
	known[service] = health
	return func(_ target, w http.ResponseWriter, r *http.Request) { answerHealth(w, askedService(r), known) }
}

func forgetService(_ target, w http.ResponseWriter, r *http.Request) {
	known := ledgerHealth()
	delete(known, ledgerService)
	answerHealth(w, askedService(r), known)
}

func saySame(_ target, w http.ResponseWriter, _ *http.Request) {
	answerHealth(w, "", ledgerHealth())
}

func failWith(code int) interceptor {
	return func(_ target, w http.ResponseWriter, _ *http.Request) { failCall(w, code) }
}

func dropTrailer(_ target, w http.ResponseWriter, r *http.Request) {
	writeMessage(w, []byte{8, ledgerHealth()[askedService(r)]})
}
