package sandbox

import (
	"context"
	"errors"
	"net"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"prober/internal/resp"
)

// redisQuestions are those of the demo's probe.
var redisQuestions = []string{
	"DBSIZE", "HELLO 3 AUTH prober PASSWORD", "PING", "ROLE", "INFO", "SCAN 0 COUNT 500", "DBSIZE", "SET prober:a text EX 60", "GET prober:a", "TIME",
	"ACL DRYRUN org-a get org:org-a:k", "ACL DRYRUN org-a get org:org-b:k", "ACL DRYRUN org-b get org:org-a:k", "ACL DRYRUN org-a flushall", "ACL DRYRUN org-a monitor", "FLUSHALL",
}

// describeRedis describes what a Redis server answers.
func (s *Sandbox) describeRedis(ctx context.Context, name string) map[string]string {
	limit := answerTimeout
	if s.alteredRedis(name).login == loginHang {
		limit = 500 * time.Millisecond
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.address(name))
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return map[string]string{"answers": "refused"}
	case err != nil:
		return map[string]string{"answers": err.Error()}
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(limit))
	in := resp.NewReader(conn)
	var said []string
	for _, q := range redisQuestions {
		words := strings.Fields(strings.ReplaceAll(q, "PASSWORD", s.credentials.redis))
		if _, err := conn.Write(resp.AppendCommand(nil, words...)); err != nil {
			return map[string]string{"answers": "closed"}
		}
		v, err := in.Read()
		if err != nil {
			return map[string]string{"answers": "no answer"}
		}
		answer := varying.ReplaceAllStringFunc(showValue(v), func(of string) string {
			part := varying.FindStringSubmatch(of)
			if n, err := strconv.Atoi(part[2]); err == nil && n < firstOffset {
				return part[1] + "(less than at the start)"
			}
			return part[1] + "(number)"
		})
		if q == "TIME" {
			answer = "a time"
		}
		said = append(said, q+": "+answer)
	}
	return map[string]string{"answers": strings.Join(said, "; ")}
}

// varying matches how far a server has written, which depends on what was tested before.
var varying = regexp.MustCompile(`((?:offset[:=]|master |connected ))(\d+)`)

func showValue(v resp.Value) string {
	if v.Kind != resp.List {
		return strings.ReplaceAll(v.Text, "\r\n", " ")
	}
	var items []string
	for _, item := range v.Items {
		items = append(items, showValue(item))
	}
	return "[" + strings.Join(items, " ") + "]"
}
