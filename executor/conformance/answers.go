package conformance

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"cronium.dev/agent/proto"
)

// Answers is a server's side of helper calls, in memory: what a script stores it
// finds again, and a call that is asked twice is done once.
type Answers struct {
	mu        sync.Mutex
	variables map[string]any
	uploads   map[string][]byte // by upload
	artifacts map[string][]byte // by name
	given     map[uint64]*proto.HelperAnswer
	repeated  int
}

// NewAnswers begins with the variables.
func NewAnswers(variables map[string]any) *Answers {
	own := map[string]any{}
	maps.Copy(own, variables)
	return &Answers{
		variables: own, uploads: map[string][]byte{}, artifacts: map[string][]byte{},
		given: map[uint64]*proto.HelperAnswer{},
	}
}

// callParams are those of every call that it knows.
type callParams struct {
	Key, Prefix          string
	Value, Expected      any
	By                   float64
	Upload, Name, SHA256 string
	Offset, Size         int
	Data                 []byte
}

// Answer answers a call of one execution.
func (a *Answers) Answer(call *proto.HelperCall) *proto.HelperAnswer {
	a.mu.Lock()
	defer a.mu.Unlock()
	if before := a.given[call.GetNumber()]; before != nil {
		a.repeated++
		return before
	}
	answer := &proto.HelperAnswer{Number: call.GetNumber()}
	var params callParams
	var result any
	err := &proto.HelperError{Status: http.StatusBadRequest, Message: "Not JSON."}
	if call.GetMethod() == "silence" {
		return nil
	}
	if json.Unmarshal(call.GetParams(), &params) == nil {
		result, err = a.do(call.GetMethod(), params)
	}
	if answer.Error = err; err == nil {
		answer.Result, _ = json.Marshal(result)
	}
	a.given[call.GetNumber()] = answer
	return answer
}

func (a *Answers) do(method string, p callParams) (any, *proto.HelperError) {
	switch {
	case strings.HasPrefix(method, "variable."):
		return a.variable(method, p)
	case strings.HasPrefix(method, "artifact."):
		return a.artifact(method, p)
	}
	return nil, &proto.HelperError{Status: http.StatusNotFound, Message: "There is no call " + method + "."}
}

func (a *Answers) variable(method string, p callParams) (any, *proto.HelperError) {
	now, exists := a.variables[p.Key]
	switch method {
	case "variable.get":
		if !exists {
			return nil, &proto.HelperError{Status: http.StatusNotFound, Message: "There is no variable " + p.Key + "."}
		}
		return map[string]any{"value": now}, nil
	case "variable.set":
		a.variables[p.Key] = p.Value
		return map[string]any{"version": 1}, nil
	case "variable.delete":
		delete(a.variables, p.Key)
		return map[string]any{"deleted": exists}, nil
	case "variable.exists":
		return map[string]any{"exists": exists}, nil
	case "variable.increment":
		number, _ := now.(float64)
		a.variables[p.Key] = number + p.By
		return map[string]any{"value": number + p.By}, nil
	case "variable.append":
		list, _ := now.([]any)
		a.variables[p.Key] = append(list, p.Value)
		return map[string]any{"length": len(list) + 1}, nil
	case "variable.list":
		keys := []map[string]any{}
		for _, key := range slices.Sorted(maps.Keys(a.variables)) {
			if strings.HasPrefix(key, p.Prefix) {
				keys = append(keys, map[string]any{"key": key, "secret": false, "type": "JSON"})
			}
		}
		return map[string]any{"keys": keys}, nil
	case "variable.compare_and_set":
		before, _ := json.Marshal(now)
		expected, _ := json.Marshal(p.Expected)
		swapped := bytes.Equal(before, expected)
		if swapped {
			a.variables[p.Key] = p.Value
		}
		return map[string]any{"swapped": swapped, "value": a.variables[p.Key]}, nil
	}
	return nil, &proto.HelperError{Status: http.StatusNotFound, Message: "There is no call " + method + "."}
}

func (a *Answers) artifact(method string, p callParams) (any, *proto.HelperError) {
	wrong := &proto.HelperError{Status: http.StatusConflict, Message: "The parts do not follow one another."}
	whole := a.uploads[p.Upload]
	if method == "artifact.part" {
		if p.Offset != len(whole) {
			return nil, wrong
		}
		a.uploads[p.Upload] = append(whole, p.Data...)
		return map[string]any{"size": len(whole) + len(p.Data)}, nil
	}
	digest := sha256.Sum256(whole)
	if p.Size != len(whole) || p.SHA256 != hex.EncodeToString(digest[:]) {
		return nil, wrong
	}
	a.artifacts[p.Name] = append([]byte{}, whole...)
	return map[string]any{"id": p.Upload, "name": p.Name, "size": p.Size, "sha256": p.SHA256}, nil
}

// Artifact is a file that the script has saved, nil if there is none of the name.
func (a *Answers) Artifact(name string) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.artifacts[name]
}

// Repeated is how often a call came again.
func (a *Answers) Repeated() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.repeated
}
