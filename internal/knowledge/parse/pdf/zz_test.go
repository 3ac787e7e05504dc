package pdf

import (
	"fmt"
	"os"
	"testing"
)

func TestDump(t *testing.T) {
	if os.Getenv("DUMP") == "" {
		return
	}
	b, _ := os.ReadFile(os.Getenv("DUMP"))
	f, err := open(b)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	fmt.Sscan(os.Getenv("PAGE"), &n)
	p := f.pages(f.catalog())[n-1]
	for _, x := range f.list(p["Contents"]) {
		s := f.resolve(x).(*stream)
		d := f.unpack(s)
		fmt.Printf("%.3000s\n", d)
	}
	for k, v := range f.dict(f.dict(p["Resources"])["Font"]) {
		d := f.dict(v)
		fmt.Println(k, d)
		fmt.Println("   desc", f.dict(d["FontDescriptor"]), "enc", f.resolve(d["Encoding"]))
	}
}
