package oracle
import ("testing";"fmt";"maps";"slices";"os")
func TestUnits(t *testing.T){
 if os.Getenv("UNITS")=="" {t.Skip()}
 var qs []*question; var names []string
 for _,op:=range operators { 
  for _,k:=range pools[pool(op)] { if op=="Null"{continue}
   for _,pre:=range []string{"","ForAnyValue:","ForAllValues:"} { for _,suf:=range []string{"","IfExists"} {
   for _,ask:=range k.ask { for _,have:=range append(slices.Clone(k.have),"-") {
    q:=&question{Principal:alice,Action:"s3:PutObject",Resource:"arn:aws:s3:::b/k",Owner:own,Keys:map[string]any{"aws:PrincipalTag/team":"red","aws:PrincipalAccount":own},Unchecked:pool(op)=="Binary"}
    g:=&generator{}; _=g
    q.caller.Kind=2; q.caller.Account=own; q.caller.ARN=alice
    if have!="-" { if k.multi||pre!="" {q.Keys[k.name]=[]string{have}} else {q.Keys[k.name]=have} } else {delete(q.Keys,k.name)}
    if k.multi && pre=="" {continue}
    q.Identity=[]document{{Version:"2012-10-17",Statement:[]map[string]any{{"Effect":"Allow","Action":"*","Resource":"*","Condition":condition{pre+op+suf:{k.name:ask}}}}}}
    qs=append(qs,q); names=append(names,fmt.Sprintf("%s%s%s %s ask %s have %s",pre,op,suf,k.name,ask,have))
   }}}}}}
 a:=ask(t,qs); d:=map[string]int{}
 for i:=range qs { got:=qs[i].compile(t).answer(); if got!=a[i] { fmt.Println(names[i],"ours",got,"oracle",a[i]); d[qs[i].Principal]++ } }
 fmt.Println(len(qs),d,maps.Keys(d)!=nil)
}
