package probe

import "time"

// An Alert is an alert whose condition holds, as Prometheus and Alertmanager know it. Its labels say which one it is: alerts with
// equal labels are the same. Its annotations are for people, and may change while it lasts.
type Alert struct {
	Labels      map[string]string
	Annotations map[string]string
	Probe       Key           // that it is about; the zero value if it is about no single one
	Reason      string        // of the first check that did not pass; empty if the alert is about no single probe, or none did
	Wait        time.Duration // how long the condition must hold before people are told
	Until       time.Time     // until when it lasts in the next process too, which may not know the reason; zero if it need not
}
