package model_test
import ("testing";"errors";"strings";"fmt"
"github.com/outcrop-dev/outcrop/internal/apierr"
"github.com/outcrop-dev/outcrop/test/model")
func TestDbg(t *testing.T){
 sk:=map[string]int{}; kinds:=map[string]int{}; ex:=map[string]string{}; n:=0
 for _,svc:=range services{ for c:=range model.Broken(svc,func(s model.Skip){sk[s.Service+" "+s.Shape+" "+s.Constraint]++}){
  _,err:=decode(svc,c); e,_:=errors.AsType[*apierr.Error](err)
  if e!=nil&&e.Kind==apierr.Validation&&!strings.HasPrefix(e.Message,"1 "){ k:=c.Name[strings.Index(c.Name," ")+1:]; kinds[k]++; ex[k]=c.String()+" "+e.Message}
  n++; if n%900==0 {fmt.Printf("%s %s?%s %v %.200s => %.400s\n\n",c,c.Path,c.Query,c.Header,c.Body,err)}
 }}
 fmt.Println(kinds); for k,v:=range ex{fmt.Printf("%s: %.900s\n",k,v)}; for k,v:=range sk {fmt.Println(k,v)}
 for _,svc:=range services{ i:=0; for c:=range model.Valid(svc){ if i++; i%25==1||c.Operation=="Converse"{fmt.Printf("%s %s %s?%s %v %.1500s\n\n",c,c.Method,c.Path,c.Query,c.Header,c.Body)}}}
}
