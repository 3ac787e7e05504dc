package openai

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// sdapi speaks the dialect of stable-diffusion.cpp's server, which it shares
// with the web interfaces: JSON in, base64 images out.
func (e *Engine) sdapi(ctx context.Context, im *Images, req *engine.PaintRequest) ([][]byte, []int64, error) {
	body := map[string]any{"prompt": req.Prompt, "negative_prompt": req.Negative, "batch_size": max(1, req.Count), "seed": req.Seed}
	if req.Width > 0 && req.Height > 0 {
		body["width"], body["height"] = req.Width, req.Height
	}
	if req.Steps > 0 {
		body["steps"] = req.Steps
	}
	if req.Guidance > 0 {
		body["cfg_scale"] = req.Guidance
	}
	path := "/sdapi/v1/txt2img"
	switch req.Task {
	case engine.TextToImage:
	case engine.ImageToImage, engine.Inpaint, engine.Vary:
		if len(req.Images) == 0 {
			return nil, nil, &engine.Error{Kind: engine.BadRequest, Message: "the request has no image to work on"}
		}
		path = "/sdapi/v1/img2img"
		init := make([]string, len(req.Images))
		for i := range req.Images {
			init[i] = base64.StdEncoding.EncodeToString(req.Images[i].Data)
		}
		body["init_images"] = init
		if req.Strength > 0 {
			body["denoising_strength"] = req.Strength
		}
		if req.Task == engine.Inpaint {
			if req.Mask == nil {
				return nil, nil, &engine.Error{Kind: engine.Unsupported, Message: "the image endpoint needs a mask image"}
			}
			body["mask"] = base64.StdEncoding.EncodeToString(req.Mask.Data)
		}
	default:
		return nil, nil, &engine.Error{Kind: engine.Unsupported, Message: fmt.Sprintf("the image endpoint does no %s", strings.ReplaceAll(string(req.Task), "_", " "))}
	}
	b, err := json.Marshal(body)
	if err != nil {
		return nil, nil, fmt.Errorf("BUG: image request: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, im.url(path), bytes.NewReader(b))
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	var doc struct {
		Images []string `json:"images"`
		Info   string   `json:"info"`
	}
	if err := e.images(ctx, r, im, &doc); err != nil {
		return nil, nil, err
	}
	var out [][]byte
	for _, s := range doc.Images {
		if _, data, ok := strings.Cut(s, ";base64,"); ok {
			s = data
		}
		img, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return nil, nil, &engine.Error{Kind: engine.BadOutput, Message: "the image endpoint's answer cannot be read", Err: err}
		}
		out = append(out, img)
	}
	seeds, err := readSeeds(doc.Info)
	if err != nil {
		seeds = nil // the caller's own seed stands then
		for i := range out {
			seeds = append(seeds, req.Seed+int64(i))
		}
	}
	return out, seeds, nil
}
