package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// The stub engine speaks the OpenAI form and does no work, so that what is
// measured is the way to it and back. Streams are paced like a fast model.
const (
	streamTokens = 200
	streamGap    = 2 * time.Millisecond
)

func serveStub() error {
	l, err := listenLoopback()
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"object":"list","data":[{"id":"stub","object":"model","owned_by":"bench"}]}`)
	})
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Stream   bool
			Messages []struct{ Content json.RawMessage }
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if !in.Stream {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"id":"c","object":"chat.completion","model":"stub","choices":[{"index":0,"message":{"role":"assistant","content":"tok"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}}`)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		if n := len(in.Messages); n == 0 || !bytes.Contains(in.Messages[n-1].Content, []byte("paced")) {
			fmt.Fprint(w, `data: {"id":"c","object":"chat.completion.chunk","model":"stub","choices":[{"index":0,"delta":{"content":"tok"},"finish_reason":null}]}`+"\n\n"+
				`data: {"id":"c","object":"chat.completion.chunk","model":"stub","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\n"+
				`data: {"id":"c","object":"chat.completion.chunk","model":"stub","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}}`+"\n\ndata: [DONE]\n\n")
			return
		}
		f := http.NewResponseController(w)
		t := time.NewTicker(streamGap)
		defer t.Stop()
		for range streamTokens {
			<-t.C
			fmt.Fprint(w, `data: {"id":"c","object":"chat.completion.chunk","model":"stub","choices":[{"index":0,"delta":{"content":"tok "},"finish_reason":null}]}`+"\n\n")
			if f.Flush() != nil {
				return
			}
		}
		fmt.Fprintf(w, `data: {"id":"c","object":"chat.completion.chunk","model":"stub","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\n"+`data: {"id":"c","object":"chat.completion.chunk","model":"stub","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":%d,"total_tokens":%d}}`+"\n\ndata: [DONE]\n\n", streamTokens, 9+streamTokens)
	})
	fmt.Println(l.Addr())
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	return srv.Serve(l)
}
