package rag

import "strings"

// A model that cannot answer says so in words of its own more often than in those
// that it was given.

// denies reports whether a sentence says that there is no answer.
func denies(sentence string) bool {
	s := strings.ToLower(strings.ReplaceAll(sentence, "’", "'"))
	for _, p := range plainDenials {
		if strings.Contains(s, p) {
			return true
		}
	}
	// "is not mentioned" may be a fact of a document; of the sources it is a denial.
	lacks := false
	for _, p := range lacking {
		lacks = lacks || strings.Contains(s, p)
	}
	if !lacks {
		return false
	}
	for _, p := range ofSources {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}

var plainDenials = []string{
	"unable to assist", "unable to answer", "unable to find", "unable to provide", "unable to determine", "cannot answer", "can't answer", "cannot assist", "can't assist",
	"i do not know", "i don't know", "i do not have", "i don't have", "i cannot find", "i can't find", "i could not find", "i couldn't find", "i cannot determine",
	"could not find any", "couldn't find any", "cannot be determined from", "cannot be answered", "no information about", "no information on", "there is no information", "i'm sorry", "i am sorry",
	"찾을 수 없", "알 수 없", "답변할 수 없", "정보가 없", "죄송", "申し訳", "わかりません", "分かりません", "見つかりません", "お答えできません",
	"无法回答", "無法回答", "没有相关信息", "沒有相關", "找不到", "很抱歉",
}

var lacking = []string{
	"do not contain", "don't contain", "does not contain", "doesn't contain", "do not mention", "don't mention", "does not mention", "doesn't mention", "not mentioned", "no mention",
	"do not provide", "don't provide", "does not provide", "doesn't provide", "not provided", "do not include", "does not include", "do not specify", "does not specify", "not specified",
	"do not say", "does not say", "do not state", "does not state", "not stated", "not available", "not found", "not given", "not present", "no specific information", "not listed", "没有提到", "未提及", "沒有提到",
	"언급되어 있지 않", "언급되지 않", "나와 있지 않", "記載されていません", "含まれていません",
}

var ofSources = []string{
	"search result", "provided", "context", "passage", "information", "sources", "source", "document", "text", "搜索结果", "검색 결과", "検索結果", "资料", "자료", "資料", "문서", "文書",
}
