package openai

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/jpeg" // servers answer JPEG, too
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	_ "golang.org/x/image/webp" // and WebP

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// Dialect of an image server.
type Dialect string

// The dialects that are spoken.
const (
	OpenAIImages    Dialect = ""      // /images/generations, /images/edits
	StableDiffusion Dialect = "sdapi" // /sdapi/v1/txt2img, /sdapi/v1/img2img, of stable-diffusion.cpp's server and others
)

// Images configures where images are painted.
type Images struct {
	BaseURL string // with /v1 for OpenAIImages, without for StableDiffusion
	APIKey  string
	Model   string
	Dialect Dialect
}

func (i *Images) check() error {
	u, err := url.Parse(i.BaseURL)
	if err != nil || u.Host == "" {
		return fmt.Errorf("image endpoint %q: want a URL such as http://127.0.0.1:1234/v1", i.BaseURL)
	}
	if i.Dialect != OpenAIImages && i.Dialect != StableDiffusion {
		return fmt.Errorf("image endpoint: unknown dialect %q", i.Dialect)
	}
	return nil
}

func (i *Images) name() string {
	if i.Model != "" {
		return i.Model
	}
	return "image"
}

func (i *Images) url(path string) string { return strings.TrimRight(i.BaseURL, "/") + path }

// maxPixels bounds an image that is decoded: a small file can claim any size.
const maxPixels = 64 << 20

// Paint implements engine.Engine.
func (e *Engine) Paint(ctx context.Context, req *engine.PaintRequest) (*engine.PaintResult, error) {
	im := e.cfg.Images
	if im == nil {
		return nil, &engine.Error{Kind: engine.Unsupported, Message: "no image model is served", Hint: "configure an image endpoint (stable-diffusion.cpp or an OpenAI images endpoint)"}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 2*e.cfg.StallTimeout, errStalled)
	defer cancel()
	var raw [][]byte
	var seeds []int64
	var err error
	if im.Dialect == StableDiffusion {
		raw, seeds, err = e.sdapi(ctx, im, req)
	} else {
		raw, err = e.openaiImages(ctx, im, req)
	}
	if err != nil {
		return nil, err
	}
	if len(raw) == 0 {
		return nil, &engine.Error{Kind: engine.BadOutput, Message: "the image endpoint returned no image"}
	}
	res := &engine.PaintResult{Model: im.name(), Seeds: seeds}
	for i, b := range raw {
		b, err := asPNG(b)
		if err != nil {
			return nil, err
		}
		res.Images = append(res.Images, engine.Blob{MediaType: "image/png", Data: b})
		if len(res.Seeds) <= i {
			res.Seeds = append(res.Seeds, req.Seed)
		}
	}
	return res, nil
}

func decode(b []byte) (image.Image, error) {
	cfg, _, err := image.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	if cfg.Width <= 0 || cfg.Height <= 0 || cfg.Width > maxPixels/cfg.Height {
		return nil, fmt.Errorf("an image of %d × %d points", cfg.Width, cfg.Height)
	}
	img, _, err := image.Decode(bytes.NewReader(b))
	return img, err
}

func asPNG(b []byte) ([]byte, error) {
	if bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")) {
		return b, nil
	}
	img, err := decode(b)
	if err != nil {
		return nil, &engine.Error{Kind: engine.BadOutput, Message: "the image endpoint returned something that is no image", Err: err}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		return nil, fmt.Errorf("encode image: %w", err)
	}
	return out.Bytes(), nil
}

func (e *Engine) openaiImages(ctx context.Context, im *Images, req *engine.PaintRequest) ([][]byte, error) {
	fields := map[string]any{"prompt": req.Prompt, "n": max(1, req.Count), "response_format": "b64_json"}
	if im.Model != "" {
		fields["model"] = im.Model
	}
	if req.Width > 0 && req.Height > 0 {
		fields["size"] = fmt.Sprintf("%dx%d", req.Width, req.Height)
	}
	if req.Style != "" {
		fields["style"] = req.Style
	}
	// Not of OpenAI's own dialect, but known to the open servers that speak it.
	if req.Negative != "" {
		fields["negative_prompt"] = req.Negative
	}
	if req.Seed != 0 {
		fields["seed"] = req.Seed
	}
	var httpReq *http.Request
	var err error
	switch req.Task {
	case engine.TextToImage:
		b, merr := json.Marshal(fields)
		if merr != nil {
			return nil, fmt.Errorf("BUG: image request: %w", merr)
		}
		if httpReq, err = http.NewRequestWithContext(ctx, http.MethodPost, im.url("/images/generations"), bytes.NewReader(b)); err == nil {
			httpReq.Header.Set("Content-Type", "application/json")
		}
	case engine.ImageToImage, engine.Inpaint:
		httpReq, err = editRequest(ctx, im, req, fields)
	default:
		return nil, &engine.Error{Kind: engine.Unsupported, Message: fmt.Sprintf("the image endpoint does no %s", strings.ReplaceAll(string(req.Task), "_", " "))}
	}
	if err != nil {
		return nil, err
	}
	var doc struct {
		Data []struct {
			B64 string `json:"b64_json"`
			URL string `json:"url"`
		} `json:"data"`
	}
	if err := e.images(ctx, httpReq, im, &doc); err != nil {
		return nil, err
	}
	var out [][]byte
	for _, d := range doc.Data {
		b, err := base64.StdEncoding.DecodeString(d.B64)
		if d.B64 == "" && d.URL != "" {
			b, err = e.image(ctx, d.URL)
		}
		if err != nil || len(b) == 0 {
			return nil, &engine.Error{Kind: engine.BadOutput, Message: "the image endpoint's answer cannot be read", Err: err}
		}
		out = append(out, b)
	}
	return out, nil
}

func editRequest(ctx context.Context, im *Images, req *engine.PaintRequest, fields map[string]any) (*http.Request, error) {
	if len(req.Images) == 0 {
		return nil, &engine.Error{Kind: engine.BadRequest, Message: "the request has no image to work on"}
	}
	if req.Task == engine.Inpaint && req.Mask == nil {
		return nil, &engine.Error{Kind: engine.Unsupported, Message: "the image endpoint needs a mask image"}
	}
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for k, v := range fields {
		if err := w.WriteField(k, fmt.Sprint(v)); err != nil {
			return nil, err
		}
	}
	for i := range req.Images {
		if err := attach(w, "image", req.Images[i].MediaType, req.Images[i].Data); err != nil {
			return nil, err
		}
	}
	if req.Mask != nil {
		hole, err := transparent(req.Mask.Data)
		if err != nil {
			return nil, err
		}
		if err := attach(w, "mask", "image/png", hole); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, im.url("/images/edits"), &body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", w.FormDataContentType())
	return r, nil
}

func attach(w *multipart.Writer, field, mediaType string, data []byte) error {
	h := textproto.MIMEHeader{}
	h.Set("Content-Disposition", fmt.Sprintf(`form-data; name=%q; filename="%s.png"`, field, field))
	h.Set("Content-Type", mediaType)
	p, err := w.CreatePart(h)
	if err != nil {
		return err
	}
	_, err = p.Write(data)
	return err
}

// transparent turns our masks, white where to paint, into OpenAI's, which are
// transparent there.
func transparent(mask []byte) ([]byte, error) {
	img, err := decode(mask)
	if err != nil {
		return nil, &engine.Error{Kind: engine.BadRequest, Message: "the mask is no image", Err: err}
	}
	b := img.Bounds()
	out := image.NewNRGBA(b)
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			g := color.GrayModel.Convert(img.At(x, y)).(color.Gray)
			out.SetNRGBA(x, y, color.NRGBA{A: 255 - g.Y})
		}
	}
	var buf bytes.Buffer
	if err := png.Encode(&buf, out); err != nil {
		return nil, fmt.Errorf("encode mask: %w", err)
	}
	return buf.Bytes(), nil
}

// images sends a prepared request and reads the JSON answer.
func (e *Engine) images(ctx context.Context, req *http.Request, im *Images, out any) error {
	e.sign(req, im.APIKey)
	resp, err := e.send(req)
	if err != nil {
		return e.fail(ctx, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 512<<20))
	if err != nil {
		return e.fail(ctx, err)
	}
	if err := json.Unmarshal(b, out); err != nil {
		return &engine.Error{Kind: engine.BadOutput, Message: "the image endpoint's answer cannot be read", Err: err}
	}
	return nil
}

// image fetches an image that the endpoint only points to; the key is not sent
// along, for the address may be another host's.
func (e *Engine) image(ctx context.Context, target string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	resp, err := e.send(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(io.LimitReader(resp.Body, 64<<20))
}

// errSeeds is for info texts without seeds.
var errSeeds = errors.New("no seeds")

func readSeeds(info string) ([]int64, error) {
	var doc struct {
		Seeds []int64 `json:"all_seeds"`
		Seed  *int64  `json:"seed"`
	}
	if err := json.Unmarshal([]byte(info), &doc); err != nil {
		return nil, err
	}
	if len(doc.Seeds) > 0 {
		return doc.Seeds, nil
	}
	if doc.Seed != nil {
		return []int64{*doc.Seed}, nil
	}
	return nil, errSeeds
}
