package tools

import (
	"fmt"
	"math/rand/v2"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// The tools that several cases share.
var (
	weather  = tool("get_weather", "Get the current weather of a city", "city:string:name of the city", "unit?:celsius|fahrenheit:unit of the temperature")
	stock    = tool("get_stock_price", "Get the current price of a share", "symbol:string:ticker symbol, such as AMZN")
	currency = tool("convert_currency", "Convert an amount of money between currencies at today's rate", "amount:number:amount to convert", "from:string:ISO code of the currency", "to:string:ISO code of the target currency")
	clock    = tool("get_time", "Get the current local time in a city", "city:string:name of the city")
	order    = tool("get_order_status", "Look up the status of an order in the shop", "order_id:string:id of the order")
	mail     = tool("send_email", "Send an e-mail", "to:string:address of the recipient", "subject:string:subject", "body:string:text of the mail")
	customer = tool("find_customer", "Find a customer by e-mail address and return the customer id", "email:string:e-mail address")
	orders   = tool("list_orders", "List the orders of a customer", "customer_id:string:id of the customer")
	search   = tool("search_handbook", "Search the employee handbook of the company", "query:string:what to look for")
	vacation = tool("get_vacation_days", "Get the number of vacation days an employee has left", "employee_id:string:id of the employee")
	book     = tool("book_vacation", "Book vacation for an employee", "employee_id:string:id of the employee", "start_date:string:first day, YYYY-MM-DD", "end_date:string:last day, YYYY-MM-DD")
	claims   = tool("GET__claims__listOpenClaims", "List all open insurance claims")
	papers   = tool("GET__claims__listMissingPapers", "List the documents that are missing for a claim", "claimId:string:id of the claim")
	remind   = tool("POST__claims__sendReminder", "Send a reminder about missing documents to the holder of a claim", "claimId:string:id of the claim", "text?:string:what the reminder says")
	light    = tool("set_light", "Switch a lamp on or off", "room:string:room of the lamp", "state:on|off:what the lamp shall be")
	heat     = tool("set_thermostat", "Set the temperature of a room", "room:string:name of the room", "celsius:number:temperature in degrees Celsius")
	sensor   = tool("read_sensor", "Read the temperature sensor of a room", "room:string:name of the room")
	hotels   = tool("search_hotels", "Search hotels in a city", "city:string:name of the city", "nights:integer:number of nights", "max_price?:number:highest price for a night")
	flights  = tool("get_flight_status", "Get the status of a flight", "flight_number:string:flight number, such as LH401")
	balance  = tool("get_account_balance", "Get the balance of a bank account", "account_id:string:id of the account")
	transfer = tool("transfer_money", "Transfer money between two accounts", "from_account:string:account to take from", "to_account:string:account to give to", "amount:number:amount in euros")
	word     = tool("translate", "Translate a text", "text:string:text to translate", "target_language:string:language to translate to")
)

// Cases lists the thirty. The last ten are held out.
var Cases = []Case{
	// One tool.
	{ID: "weather", Make: func(r *rand.Rand) Task {
		t := between(r, 11, 39)
		return one([]engine.Tool{weather}, "What is the weather in Seattle right now?",
			want(fmt.Sprintf(`{"temperature": %d, "sky": "cloudy"}`, t), "get_weather", "city", Has("seattle")), fmt.Sprint(t))
	}},
	{ID: "stock", Make: func(r *rand.Rand) Task {
		p := fmt.Sprintf("%d.%d", between(r, 110, 890), between(r, 11, 99))
		return one([]engine.Tool{stock}, "How much does one AMZN share cost?",
			want(`{"symbol": "AMZN", "price": `+p+`, "currency": "USD"}`, "get_stock_price", "symbol", Is("AMZN")), p)
	}},
	{ID: "order", Make: func(r *rand.Rand) Task {
		id, track := code(r), code(r)
		t := one([]engine.Tool{order}, "Where is my order "+id+"? Please give me the tracking code.",
			want(`{"status": "shipped", "tracking_code": "`+track+`"}`, "get_order_status", "order_id", Is(id)), track)
		t.System = "You are the friendly assistant of a web shop."
		return t
	}},
	{ID: "currency", Make: func(r *rand.Rand) Task {
		sum := fmt.Sprintf("%d.%d", between(r, 200, 290), between(r, 11, 99))
		return one([]engine.Tool{currency}, "Convert 250 US dollars to euros.",
			want(`{"result": `+sum+`, "currency": "EUR"}`, "convert_currency", "amount", Num(250), "from", Is("USD"), "to", Is("EUR")), sum)
	}},
	// Two or three tools, one of them right.
	{ID: "time of three", Make: func(r *rand.Rand) Task {
		at := fmt.Sprintf("%02d:%02d", between(r, 13, 23), between(r, 10, 59))
		return one([]engine.Tool{weather, stock, clock}, "What time is it in Tokyo?",
			want(`{"time": "`+at+`"}`, "get_time", "city", Has("tokyo")), at)
	}},
	{ID: "balance of two", Make: func(r *rand.Rand) Task {
		acc, sum := "ACC-"+fmt.Sprint(between(r, 1000, 9999)), fmt.Sprint(between(r, 1100, 9900))
		return one([]engine.Tool{balance, transfer}, "How much money is in account "+acc+"?",
			want(`{"balance": `+sum+`, "currency": "EUR"}`, "get_account_balance", "account_id", Is(acc)), sum)
	}},
	{ID: "lamp of three", Make: func(r *rand.Rand) Task {
		w := pick(r, "7", "8", "9", "11", "13") + fmt.Sprint(between(r, 10, 99))
		return one([]engine.Tool{light, heat, sensor}, "Turn off the lamp in the kitchen and tell me the confirmation number.",
			want(`{"ok": true, "confirmation_number": "`+w+`"}`, "set_light", "room", Has("kitchen"), "state", Is("off")), w)
	}},
	{ID: "handbook of two", Make: func(r *rand.Rand) Task {
		n := fmt.Sprint(between(r, 21, 89))
		t := one([]engine.Tool{search, mail}, "How many days of parental leave does our company give?",
			want(`{"passages": ["Every employee may take `+n+` days of paid parental leave."]}`, "search_handbook", "query", Has("parental")), n)
		t.System = "You answer questions of employees. Facts about the company are in the handbook."
		return t
	}},
	// Four to six tools.
	{ID: "claims of four", Make: func(r *rand.Rand) Task {
		a, b := "claim-"+fmt.Sprint(between(r, 1000, 4999)), "claim-"+fmt.Sprint(between(r, 5000, 9999))
		t := one([]engine.Tool{claims, papers, remind, mail}, "Which claims are open?",
			want(`{"openClaims": ["`+a+`", "`+b+`"]}`, "GET__claims__listOpenClaims"), a, b)
		t.System = "You are an insurance agent that helps with claims."
		return t
	}},
	{ID: "missing papers of five", Make: func(r *rand.Rand) Task {
		id, doc := "claim-"+fmt.Sprint(between(r, 100, 999)), pick(r, "accident photographs", "vehicle registration", "police report", "repair estimate")
		t := one([]engine.Tool{claims, papers, remind, mail, search}, "Which documents are missing for "+id+"?",
			want(`{"missing": ["`+doc+`"]}`, "GET__claims__listMissingPapers", "claimId", Is(id)), doc)
		t.System = "You are an insurance agent that helps with claims."
		return t
	}},
	{ID: "hotel of six", Make: func(r *rand.Rand) Task {
		name, price := "Hotel "+pick(r, "Miramar", "Belvedere", "Astoria", "Lumen"), fmt.Sprint(between(r, 81, 149))
		return one([]engine.Tool{weather, clock, hotels, flights, currency, word}, "Find me a hotel in Lisbon for 3 nights, at most 150 a night.",
			want(`{"hotels": [{"name": "`+name+`", "price_per_night": `+price+`}]}`, "search_hotels", "city", Has("lisbon"), "nights", Num(3)), name, price)
	}},
	// Two calls at once.
	{ID: "two cities", Make: func(r *rand.Rand) Task {
		a, b := between(r, 11, 24), between(r, 25, 39)
		t := one([]engine.Tool{weather, clock}, "Compare the weather in Oslo and in Madrid.",
			want(fmt.Sprintf(`{"temperature": %d}`, a), "get_weather", "city", Has("oslo")), fmt.Sprint(a), fmt.Sprint(b))
		t.Turns[0].Calls = append(t.Turns[0].Calls, want(fmt.Sprintf(`{"temperature": %d}`, b), "get_weather", "city", Has("madrid")))
		return t
	}},
	{ID: "weather and time", Make: func(r *rand.Rand) Task {
		a, at := between(r, 11, 39), fmt.Sprintf("%02d:%02d", between(r, 13, 23), between(r, 10, 59))
		t := one([]engine.Tool{weather, clock, stock}, "What is the weather in Paris and what time is it there?",
			want(fmt.Sprintf(`{"temperature": %d}`, a), "get_weather", "city", Has("paris")), fmt.Sprint(a), at)
		t.Turns[0].Calls = append(t.Turns[0].Calls, want(`{"time": "`+at+`"}`, "get_time", "city", Has("paris")))
		return t
	}},
	// One call after the other.
	{ID: "customer then orders", Make: func(r *rand.Rand) Task {
		id, item := code(r), pick(r, "garden hose", "desk lamp", "tea kettle", "wool blanket")
		return Task{Tools: []engine.Tool{customer, orders, order}, Turns: []Turn{{
			User: "What did the customer with the e-mail address ana@example.com order?",
			Calls: []Want{want(`{"customer_id": "`+id+`"}`, "find_customer", "email", Is("ana@example.com")),
				want(`{"orders": [{"item": "`+item+`", "quantity": 1}]}`, "list_orders", "customer_id", Is(id))},
			Says: []string{item},
		}}}
	}},
	// Follow-ups.
	{ID: "follow-up city", Make: func(r *rand.Rand) Task {
		a, b := between(r, 11, 24), between(r, 25, 39)
		return Task{Tools: []engine.Tool{weather, stock}, Turns: []Turn{
			{User: "How warm is it in Berlin?", Calls: []Want{want(fmt.Sprintf(`{"temperature": %d}`, a), "get_weather", "city", Has("berlin"))}, Says: []string{fmt.Sprint(a)}},
			{User: "And in Rome?", Calls: []Want{want(fmt.Sprintf(`{"temperature": %d}`, b), "get_weather", "city", Has("rome"))}, Says: []string{fmt.Sprint(b)}},
		}}
	}},
	{ID: "follow-up without call", Make: func(r *rand.Rand) Task {
		days := fmt.Sprint(between(r, 11, 29))
		return Task{System: "You help employees with their vacation.", Tools: []engine.Tool{vacation, book}, Turns: []Turn{
			{User: "How many vacation days does employee E77 have left?", Calls: []Want{want(`{"days_left": `+days+`}`, "get_vacation_days", "employee_id", Is("E77"))}, Says: []string{days}},
			{User: "Thank you, that is all!"},
		}}
	}},
	// No tool.
	{ID: "greeting", Make: func(*rand.Rand) Task { return none([]engine.Tool{weather}, "Hello!") }},
	{ID: "sum", Make: func(*rand.Rand) Task { return none([]engine.Tool{weather, stock}, "What is 2 + 2?", "4") }},
	{ID: "capital", Make: func(*rand.Rand) Task {
		return none([]engine.Tool{order, mail, stock}, "What is the capital of France?", "Paris")
	}},
	{ID: "poem", Make: func(*rand.Rand) Task {
		return none([]engine.Tool{light, heat, sensor, weather}, "Write one short sentence about the sea.", "sea")
	}},

	// Held out.
	{ID: "flight", HeldOut: true, Make: func(r *rand.Rand) Task {
		gate := pick(r, "A", "B", "C", "D") + fmt.Sprint(between(r, 11, 79))
		return one([]engine.Tool{flights}, "From which gate does flight LH401 leave?",
			want(`{"status": "on time", "gate": "`+gate+`"}`, "get_flight_status", "flight_number", Is("LH401")), gate)
	}},
	{ID: "sensor of three", HeldOut: true, Make: func(r *rand.Rand) Task {
		t := fmt.Sprintf("%d.%d", between(r, 15, 28), between(r, 1, 9))
		return one([]engine.Tool{light, heat, sensor}, "How warm is it in the bedroom?",
			want(`{"celsius": `+t+`}`, "read_sensor", "room", Has("bedroom")), t)
	}},
	{ID: "mail of three", HeldOut: true, Make: func(r *rand.Rand) Task {
		id := code(r)
		return one([]engine.Tool{mail, search, clock}, "Send an e-mail to bob@example.com with the subject 'Lunch' that says 'See you at noon', and tell me its message id.",
			want(`{"sent": true, "message_id": "`+id+`"}`, "send_email", "to", Is("bob@example.com"), "subject", Has("lunch"), "body", Has("noon")), id)
	}},
	{ID: "translate of two", HeldOut: true, Make: func(r *rand.Rand) Task {
		w := pick(r, "buenos", "hola", "saludos") + " " + code(r)
		return one([]engine.Tool{word, clock}, "Translate 'good morning' to Spanish with the translation tool.",
			want(`{"translation": "`+w+`"}`, "translate", "text", Has("good morning"), "target_language", OneOf(Has("spanish"), Is("es"), Has("español"))), w)
	}},
	{ID: "reminder of five", HeldOut: true, Make: func(r *rand.Rand) Task {
		id, ref := "claim-"+fmt.Sprint(between(r, 100, 999)), code(r)
		t := one([]engine.Tool{claims, papers, remind, mail, search}, "Send a reminder for "+id+" and give me its tracking id.",
			want(`{"trackingId": "`+ref+`"}`, "POST__claims__sendReminder", "claimId", Is(id)), ref)
		t.System = "You are an insurance agent that helps with claims."
		return t
	}},
	{ID: "two shares", HeldOut: true, Make: func(r *rand.Rand) Task {
		a, b := fmt.Sprint(between(r, 110, 480)), fmt.Sprint(between(r, 520, 990))
		t := one([]engine.Tool{stock, currency}, "What are the prices of MSFT and NVDA shares?",
			want(`{"price": `+a+`}`, "get_stock_price", "symbol", Is("MSFT")), a, b)
		t.Turns[0].Calls = append(t.Turns[0].Calls, want(`{"price": `+b+`}`, "get_stock_price", "symbol", Is("NVDA")))
		return t
	}},
	{ID: "days then booking", HeldOut: true, Make: func(r *rand.Rand) Task {
		days, ref := fmt.Sprint(between(r, 12, 29)), code(r)
		return Task{System: "You help employees with their vacation.", Tools: []engine.Tool{vacation, book, search, mail}, Turns: []Turn{
			{User: "How many vacation days are left for employee E12?", Calls: []Want{want(`{"days_left": `+days+`}`, "get_vacation_days", "employee_id", Is("E12"))}, Says: []string{days}},
			{User: "Good. Book vacation from 2027-03-01 to 2027-03-05 and tell me the booking number.", Calls: []Want{want(`{"booked": true, "booking_number": "`+ref+`"}`,
				"book_vacation", "employee_id", Is("E12"), "start_date", Is("2027-03-01"), "end_date", Is("2027-03-05"))}, Says: []string{ref}},
		}}
	}},
	{ID: "claims then papers", HeldOut: true, Make: func(r *rand.Rand) Task {
		id, doc := "claim-"+fmt.Sprint(between(r, 1000, 9999)), pick(r, "accident photographs", "vehicle registration", "police report", "repair estimate")
		return Task{System: "You are an insurance agent that helps with claims.", Tools: []engine.Tool{claims, papers, remind}, Turns: []Turn{
			{User: "Which claims are open?", Calls: []Want{want(`{"openClaims": ["`+id+`"]}`, "GET__claims__listOpenClaims")}, Says: []string{id}},
			{User: "Which documents are missing for it?", Calls: []Want{want(`{"missing": ["`+doc+`"]}`, "GET__claims__listMissingPapers", "claimId", Is(id))}, Says: []string{doc}},
		}}
	}},
	{ID: "thanks", HeldOut: true, Make: func(*rand.Rand) Task {
		return none([]engine.Tool{hotels, flights}, "Who are you and how can you help me?")
	}},
	{ID: "colour", HeldOut: true, Make: func(*rand.Rand) Task {
		return none([]engine.Tool{search, vacation, clock}, "Which colour do you get when you mix blue and yellow?", "green")
	}},
}

// want spells a call: its result, its tool, then names and matches of arguments.
func want(result, name string, args ...any) Want {
	w := Want{Tool: name, Result: result, Args: map[string]Match{}}
	for i := 0; i < len(args); i += 2 {
		w.Args[args[i].(string)] = args[i+1].(Match)
	}
	return w
}

// one is a task of one question and one call.
func one(tools []engine.Tool, user string, w Want, says ...string) Task {
	return Task{Tools: tools, Turns: []Turn{{User: user, Calls: []Want{w}, Says: says}}}
}

// none is a task that no tool helps with.
func none(tools []engine.Tool, user string, says ...string) Task {
	return Task{Tools: tools, Turns: []Turn{{User: user, Says: says}}}
}
