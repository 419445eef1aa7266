package clock

import (
	"context"
	"strconv"
	"time"

	"prober/internal/probe"
	"prober/internal/resp"
)

// Redis is a Redis server whose clock is read.
type Redis struct {
	resp.Settings `yaml:",inline"`

	Address string `yaml:"address" required:"true" doc:"host:port of the server"`
}

// readRedis asks a Redis server for its clock, in microseconds. The connection is there already when the question is sent.
func (s *source) readRedis(ctx context.Context, r *probe.Result) (said reading, t *probe.Outcome) {
	began := time.Now()
	conn, err := s.redis.Connect(ctx, r, "source", resp.At(s.Redis.Address))
	if err != nil {
		o := resp.Explain(err)
		return reading{}, &o
	}
	defer conn.Close()
	said.Sent = time.Now()
	answer, err := conn.Do("TIME")
	said.Received = time.Now()
	if err != nil {
		o := resp.Explain(err)
		return reading{}, &o
	}
	if len(answer.Items) != 2 {
		return reading{}, readErrorf(probe.Schema, "the server did not answer with a time")
	}
	seconds, err1 := strconv.ParseUint(answer.Items[0].Text, 10, 40)
	micros, err2 := strconv.ParseUint(answer.Items[1].Text, 10, 64)
	if err1 != nil || err2 != nil || micros > 999_999 {
		return reading{}, readErrorf(probe.Schema, "the server did not answer with a time")
	}
	at := time.Unix(int64(seconds), int64(micros)*1000)
	said.Sample.Earliest, said.Sample.Latest = at, at.Add(time.Microsecond)
	said.before, said.from = said.Sent.Sub(began), conn.Peer()
	return said, nil
}

// validateRedis refuses what a Redis server has no use for, and makes the client that asks it.
func (s *source) validateRedis(given Service) error {
	if given.URL != "" || given.IAT != nil || !given.JSON.IsZero() || given.HasCredential() || given.Postgres != nil {
		return probe.Settingf("redis", "leaves no room for a url, json, iat, postgres or another credential")
	}
	if given.Redis.Resolver == "" {
		given.Redis.Resolver = s.Resolver
	}
	client, err := given.Redis.Client(map[string]string{"address": given.Redis.Address})
	s.redis = client
	return probe.InSetting("redis", err)
}
