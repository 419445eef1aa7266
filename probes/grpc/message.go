package grpc

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"prober/internal/probe"
	"prober/internal/text"
)

// A health is the status in a HealthCheckResponse.
type health int32

// The statuses of grpc.health.v1. Others do not exist.
const (
	unknown        health = 0
	serving        health = 1
	notServing     health = 2
	serviceUnknown health = 3 // in answers to Watch only, by the protocol
)

var healthNames = []string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}

// String returns the name, "a value that does not exist" for any other number.
func (h health) String() string {
	if h < 0 || int(h) >= len(healthNames) {
		return "a value that does not exist"
	}
	return healthNames[h]
}

// Numbers of fields, in HealthCheckRequest and HealthCheckResponse.
const (
	fieldService protowire.Number = 1
	fieldStatus  protowire.Number = 1
)

// prefixBytes is the length of what stands before a message: a flag and the length of the message.
const prefixBytes = 5

// request returns the body of a call that asks about a service.
func request(service string) []byte {
	var message []byte
	if service != "" {
		message = protowire.AppendTag(message, fieldService, protowire.BytesType)
		message = protowire.AppendString(message, service)
	}
	body := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	return append(body, message...)
}

// message returns the only message in the body of an answer.
func message(body []byte) ([]byte, probe.Outcome) {
	const expected = "expected one message, got "
	if len(body) == 0 {
		return nil, probe.Outcomef(reasonMessage, expected+"none, with the status OK")
	}
	if len(body) < prefixBytes {
		return nil, probe.Outcomef(reasonMessage, expected+"%s, fewer than stand before each", text.Count(len(body), "byte"))
	}
	flag, length, rest := body[0], binary.BigEndian.Uint32(body[1:prefixBytes]), body[prefixBytes:]
	switch {
	case flag == 1:
		return nil, probe.Outcomef(reasonMessage, expected+"a compressed one: the prober did not offer to decompress any")
	case flag != 0:
		return nil, probe.Outcomef(reasonMessage, expected+"one with the flag %d, which does not exist", flag)
	case uint64(length) > uint64(len(rest)):
		return nil, probe.Outcomef(reasonMessage, expected+"%s of one that announces %d", text.Count(len(rest), "byte"), length)
	case uint64(length) < uint64(len(rest)):
		return nil, probe.Outcomef(reasonMessage, expected+"one of %s and %d behind it", text.Count(int(length), "byte"), len(rest)-int(length))
	}
	return rest, probe.Outcome{Reason: probe.OK}
}

// parseHealth reads a HealthCheckResponse. Fields that this version of the protocol does not have are passed over.
func parseHealth(message []byte) (health, probe.Outcome) {
	status, left := unknown, message
	for len(left) > 0 {
		number, kind, n := protowire.ConsumeTag(left)
		if n < 0 || number == fieldStatus && kind != protowire.VarintType {
			return unknown, unreadable(message)
		}
		left = left[n:]
		if number == fieldStatus {
			value, _ := protowire.ConsumeVarint(left)
			status = health(min(value, math.MaxInt32))
		}
		if n = protowire.ConsumeFieldValue(number, kind, left); n < 0 {
			return unknown, unreadable(message)
		}
		left = left[n:]
	}
	return status, probe.Outcome{Reason: probe.OK}
}

func unreadable(message []byte) probe.Outcome {
	return probe.Outcomef(reasonMessage, "expected a HealthCheckResponse, got %s that cannot be read as one", text.Count(len(message), "byte"))
}
