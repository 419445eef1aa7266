package expect_test

import (
	"fmt"
	"net/http"
	"time"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/probes/internal/expect"
)

// Judge returns an outcome for each part of the response that the configuration expects something of.
func ExampleExpect_Judge() {
	ready := "ready"
	want := expect.Expect{
		Content: expect.Content{
			Headers: map[string]*expect.Match{"X-Version": {Contains: "1."}},
			Body:    &expect.Match{Equals: &ready},
		},
		Latency: new(probe.Duration(time.Second)),
	}
	response := &httpx.Answer{Exchange: probe.Exchange{Status: 200}, Header: http.Header{"X-Version": {"1.4.2"}}, Body: []byte("starting")}
	for _, check := range want.Judge(response, time.Now()) {
		fmt.Println(check.Name, check.Reason)
	}
	// Output:
	// headers ok
	// body body
	// latency ok
}

// An expectation that a target which is down would meet too is negative. A kind accepts it only with a control.
func ExampleExpect_Negative() {
	open := expect.Expect{Content: expect.Content{Body: &expect.Match{Contains: "welcome"}}}
	denied := expect.Expect{Content: expect.Content{Body: &expect.Match{NotContains: "secret"}}}
	fmt.Printf("%q %q\n", open.Negative(), denied.Negative())
	// Output:
	// "" "body"
}
