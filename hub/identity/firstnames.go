package identity

import "strings"

// firstNames lists first names, one a line: spellings of the name joined by "=", then its short forms. A short form that
// stands on several lines may be any of these names.
const firstNames = `
александр=alexander=alexandr: саша саня шура шурик алекс alex sasha
александра=alexandra: саша саня шура алекс alex sasha
алексей=alexei: леша алеша леха алекс alex
анатолий: толя толик
андрей=andrei: андрюша андрюха
андрей=andrew: andy
антон=anthony: антоша тоша tony
аркадий: аркаша
арсений: сеня арсюша
артем=артемий: тема
артур=arthur
богдан
борис: боря
вадим: вадик
валентин: валя
валерий: валера
василий: вася
виктор=victor: витя
виталий: виталик
владимир: вова володя вовка
владислав: слава влад владик
всеволод: сева
вячеслав: слава
геннадий: гена
георгий=george: жора гоша гера
герман: гера
глеб
григорий: гриша
давид=david
даниил=данила=данил=daniel: даня dan
демьян: дема
денис: деня дениска
дмитрий=dmitri=dmitry: дима митя димон
евгений=eugene: женя gene
евгения: женя
егор
ефим: фима
захар
иван: ваня ванек
игорь: игорек
илья: илюша илюха
кирилл
константин: костя костик
лев: лева
леонид: леня
макар
максим: макс max
марат
марк=mark
матвей: мотя
михаил=michael: миша mike мишаня
никита
николай=nicholas: коля nick
олег
павел=paul: паша пашка
петр=peter: петя
платон
родион: родя
роман: рома ромка
ростислав: слава
руслан
рустам
савелий: сава
святослав: слава свят
семен: сема сеня
сергей=sergei: сережа серега серж
станислав: стас слава
степан: степа
тарас
тимофей: тима
тимур: тима
федор=theodore: федя
филипп=philip: филя
эдуард=edward: эдик ed
юрий: юра
яков: яша
ян
ярослав: слава ярик
азат
айдар
арман
ашот
айрат
армен
гагик
ильдар
ильнур
нурлан
ринат
эльдар
тигран
аида
айгуль
алевтина: аля
алена
алина: аля лина
алиса=alice
алла: аля
альбина: аля
ангелина: лина геля
анжела: геля
анжелика: лика
анастасия: настя ася стася
анна=anna=ann: аня нюра нюта ася анюта
антонина: тоня
арина
асель
василиса: вася
валентина: валя
валерия: лера
варвара: варя
вера
вероника: ника вера
виктория=victoria: вика
виолетта
галина: галя
гульнара: гуля
дарья=дария: даша
диана
дина
динара: дина
ева
екатерина=catherine=katherine: катя катюша kate
елена=helen: лена леночка
елизавета=elizabeth: лиза liz beth
жанна
зинаида: зина
зоя
злата
инга
инна
инесса: инна
ирина: ира иришка
камилла: мила
карина
кира
клавдия: клава
кристина=christina
ксения: ксюша
лариса: лара
лидия: лида
лилия: лиля
лия
любовь: люба
людмила: люда мила
майя
маргарита=margaret: рита марго maggie
марина
мария=maria=mary: маша маня маруся машенька
марта
милана: мила
надежда: надя
наталья=наталия: наташа ната
нелли
ника
нина
оксана: ксана
олеся: леся
ольга: оля оленька
полина: поля
раиса: рая
регина
римма
роза
светлана: света
снежана
софья=софия=sophia: соня
стелла
таисия: тася тая
тамара: тома
татьяна: таня танюша
ульяна: уля
фаина: фая
эвелина: лина
элина
эльвира: эля
эльмира: эля
эмма=emma
юлия=julia: юля
яна
william: bill will
robert: bob rob
james: jim
john: jack
thomas: tom
steven=stephen: steve
joseph: joe
richard: dick rick
charles: charlie
jennifer: jenny
susan: sue
rebecca: becky
laura
charlotte
linda
patricia: pat
karen
nancy
`

// menInA are first names of men that end as women's do.
var menInA = []string{"илья", "никита", "данила"}

// nameBook knows the first names that a spelling may stand for.
type nameBook struct {
	forms map[string][]string // names by folded spelling
	men   map[string]bool     // of names: whether a man's
	// spellings are those long enough to be recognised with a slip, in letters and in sounds.
	spellings []struct{ folded, sounds string }
}

var knownNames = func() nameBook {
	book := nameBook{forms: map[string][]string{}, men: map[string]bool{}}
	for line := range strings.Lines(firstNames) {
		full, short, _ := strings.Cut(strings.TrimSpace(line), ":")
		spellings := strings.Split(full, "=")
		name := foldName(spellings[0])
		if name == "" {
			continue
		}
		book.men[name] = !strings.HasSuffix(spellings[0], "а") && !strings.HasSuffix(spellings[0], "я")
		for _, form := range append(spellings, strings.Fields(short)...) {
			form = foldName(form)
			if len(book.forms[form]) == 0 && len([]rune(form)) >= leastForSlip {
				book.spellings = append(book.spellings, struct{ folded, sounds string }{form, oneLetter.Replace(form)})
			}
			book.forms[form] = appendNew(book.forms[form], name)
		}
	}
	for _, name := range menInA {
		book.men[foldName(name)] = true
	}
	for _, name := range []string{"любовь", "асель", "айгуль", "нелли"} {
		book.men[foldName(name)] = false
	}
	return book
}()
