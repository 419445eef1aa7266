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
	Dependent   bool          // that a dependency of the probe fails explains it, and ends it
	Until       time.Time     // until when it lasts in the next process too, which may not know the reason; zero if it need not
}

// A Watch is what is known of a configured probe beside its alerts: enough to say of an alert that an earlier process began whether
// it is still to be heard.
type Watch struct {
	Ran             bool // in this process
	Maintained      bool // it is worked on
	DependencyFails bool // one that it depends on fails
}
