package kubernetes

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestHealthMistakes(t *testing.T) {
	const ports = `"ports":[{"name":"http","containerPort":8080}],`
	for name, test := range map[string]struct {
		container string
		ready     string // the readiness path
		want      string
	}{
		"apart":                                {ports + `"livenessProbe":{"httpGet":{"path":"/health","port":"http"}},"readinessProbe":{"httpGet":{"path":"/ready","port":"http"}}`, "/ready", ""},
		"the same page":                        {ports + `"livenessProbe":{"httpGet":{"path":"/up","port":"http"}},"readinessProbe":{"httpGet":{"path":"/up","port":"http"}}`, "", "liveness_is_readiness containers[0].livenessProbe.httpGet"},
		"the same page, by number":             {ports + `"livenessProbe":{"httpGet":{"path":"/up","port":8080}},"readinessProbe":{"httpGet":{"path":"/up","port":"http"}}`, "", "liveness_is_readiness containers[0].livenessProbe.httpGet"},
		"the same page, without /":             {`"livenessProbe":{"httpGet":{"path":"up","port":80}},"readinessProbe":{"httpGet":{"path":"/up","port":80}}`, "", "liveness_is_readiness containers[0].livenessProbe.httpGet"},
		"the same path, another port":          {ports + `"livenessProbe":{"httpGet":{"path":"/up","port":9090}},"readinessProbe":{"httpGet":{"path":"/up","port":"http"}}`, "", ""},
		"the same unknown port":                {`"livenessProbe":{"httpGet":{"path":"/up","port":"x"}},"readinessProbe":{"httpGet":{"path":"/up","port":"x"}}`, "", "liveness_is_readiness containers[0].livenessProbe.httpGet"},
		"the readiness path":                   {`"livenessProbe":{"httpGet":{"path":"/ready","port":80}}`, "/ready", "liveness_is_readiness containers[0].livenessProbe.httpGet"},
		"the readiness path, with a parameter": {`"livenessProbe":{"httpGet":{"path":"/ready?full=1","port":80}}`, "/ready", "liveness_is_readiness containers[0].livenessProbe.httpGet"},
		"the readiness path, with a slash":     {`"livenessProbe":{"httpGet":{"path":"/ready/","port":80}}`, "/ready", "liveness_is_readiness containers[0].livenessProbe.httpGet"},
		"one page, apart by its parameter":     {`"livenessProbe":{"httpGet":{"path":"/up?live","port":80}},"readinessProbe":{"httpGet":{"path":"/up?ready","port":80}}`, "/ready", ""},
		"a command that asks readiness":        {`"livenessProbe":{"exec":{"command":["sh","-c","curl -fsS 'http://localhost:8080/ready?x' || exit 1"]}}`, "/ready", "liveness_is_readiness containers[0].livenessProbe.exec"},
		"a command that asks it, no scheme":    {`"livenessProbe":{"exec":{"command":["wget","-qO-","localhost:8080/ready"]}}`, "/ready", "liveness_is_readiness containers[0].livenessProbe.exec"},
		"a command that asks another page":     {`"livenessProbe":{"exec":{"command":["curl","http://localhost:8080/health"]}}`, "/ready", ""},
		"a command that looks at a file":       {`"livenessProbe":{"exec":{"command":["cat","/ready","/tmp/ready"]}}`, "/ready", ""},
		"startup on readiness":                 {ports + `"startupProbe":{"httpGet":{"path":"/ready","port":"http"}},"readinessProbe":{"httpGet":{"path":"/ready","port":"http"}}`, "", "liveness_is_readiness containers[0].startupProbe.httpGet"},
		"both on readiness":                    {`"startupProbe":{"httpGet":{"path":"/ready","port":1}},"livenessProbe":{"httpGet":{"path":"/ready","port":1}}`, "/ready", "liveness_is_readiness containers[0].livenessProbe.httpGet liveness_is_readiness containers[0].startupProbe.httpGet"},
		"startup as liveness":                  {ports + `"startupProbe":{"httpGet":{"path":"/health","port":1}},"livenessProbe":{"httpGet":{"path":"/health","port":1}},"readinessProbe":{"httpGet":{"path":"/ready","port":1}}`, "/ready", ""},
		"the same command":                     {`"livenessProbe":{"exec":{"command":["check","all"]}},"readinessProbe":{"exec":{"command":["check","all"]}}`, "", "liveness_is_readiness containers[0].livenessProbe.exec"},
		"another command":                      {`"livenessProbe":{"exec":{"command":["check"]}},"readinessProbe":{"exec":{"command":["check","all"]}}`, "", ""},
		"the same service":                     {`"livenessProbe":{"grpc":{"port":1,"service":"a"}},"readinessProbe":{"grpc":{"port":1,"service":"a"}}`, "", "liveness_is_readiness containers[0].livenessProbe.grpc"},
		"another service":                      {`"livenessProbe":{"grpc":{"port":1,"service":"b"}},"readinessProbe":{"grpc":{"port":1,"service":"a"}}`, "", ""},
		"a connection":                         {ports + `"livenessProbe":{"tcpSocket":{"port":1}},"readinessProbe":{"tcpSocket":{"port":1}}`, "/ready", ""},
		"no readiness":                         {ports + `"livenessProbe":{"httpGet":{"path":"/health","port":1}}`, "/ready", "no_readiness containers[0]"},
		"no readiness, UDP":                    {`"ports":[{"containerPort":53,"protocol":"UDP"}]`, "/ready", ""},
		"a worker":                             {`"image":"worker"`, "/ready", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var spec PodSpec
			if err := json.Unmarshal([]byte(`{"containers":[{`+test.container+`}]}`), &spec); err != nil {
				t.Fatal(err)
			}
			if got := mistakes(spec, test.ready); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	ready := &HealthProbe{HTTPGet: &HTTPGet{Path: "/ready", Port: 1.0}}
	init := []Container{{LivenessProbe: ready}, {RestartPolicy: "Always", LivenessProbe: ready, Ports: []ContainerPort{{}}}}
	if got, want := mistakes(PodSpec{InitContainers: init, Containers: []Container{{}}}, "/ready"), "liveness_is_readiness initContainers[1].livenessProbe.httpGet"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := mistakes(PodSpec{InitContainers: init}, "/ready"); got != "no_containers " {
		t.Errorf("got %q", got)
	}
}

func mistakes(s PodSpec, ready string) string {
	var all []string
	for _, m := range s.HealthMistakes(ready) {
		all = append(all, string(m.Kind)+" "+m.Path)
	}
	return strings.Join(all, " ")
}
