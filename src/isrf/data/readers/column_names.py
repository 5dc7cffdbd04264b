"""Usual names of the columns of logs and catalogues, in English, German, French, Spanish and Chinese.

Best first, and English before the others, so that a log which was read before is read the same. A name that means one
thing in a log and another in a catalogue ("Artikel", "Description" of some shops) is not guessed at here: ``column_hints``
proposes a column, and the user names it. Knows nothing about files, nor about what columns hold.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from isrf.data.dataset import Columns


def plain(name: str) -> str:
    """A column name as it is compared: without case, accents, blanks and punctuation.

    >>> plain("User_ID"), plain("Catégorie"), plain("Date d'achat"), plain("商品 ID")
    ('userid', 'categorie', 'datedachat', '商品id')
    """
    parts = unicodedata.normalize("NFKD", name.lower())
    return unicodedata.normalize("NFC", re.sub(r"[\W_]", "", "".join(c for c in parts if not unicodedata.combining(c))))


def usual(names: Sequence[str], wanted: Sequence[str]) -> str | None:
    """The first of ``wanted`` (plain names, best first) among the column ``names``."""
    by_plain = {plain(n): n for n in reversed(names)}
    return next((by_plain[w] for w in wanted if w in by_plain), None)


# a session is a person only where nothing else is
USER_NAMES = [
    *("userid", "user", "uid", "reviewerid", "customerid", "customer", "memberid", "accountid", "clientid"),
    *("visitorid", "personid", "buyerid", "username"),
    *("kundenid", "kundennr", "kundennummer", "kunde", "nutzerid", "nutzer", "benutzerid", "benutzer"),
    *("idclient", "codeclient", "numeroclient", "numclient", "client", "idutilisateur", "utilisateur", "acheteur"),
    *("idcliente", "clienteid", "codigocliente", "cliente", "idusuario", "usuarioid", "usuario", "comprador"),
    *("用户id", "用户编号", "用户", "客户id", "客户编号", "客户", "会员id", "会员编号", "会员号", "会员"),
    *("顾客id", "顾客编号", "顾客", "买家id", "买家", "使用者id", "使用者", "客戶編號", "客戶", "會員編號", "會員"),
    "sessionid",
]
# parent_asin before asin: the metadata of Amazon 2023 is keyed by it
ITEM_NAMES = [
    *("itemid", "item", "iid", "parentasin", "asin", "productid", "product", "movieid", "filmid", "articleid"),
    *("bookid", "isbn", "trackid", "songid", "gameid", "businessid", "sku", "stockcode", "productcode", "contentid"),
    "newsid",
    *("artikelid", "artikelnr", "artikelnummer", "artnr", "produktid", "produktnr", "produktnummer"),
    *("artikel", "produkt"),
    *("idarticle", "codearticle", "referencearticle", "refarticle", "idproduit", "codeproduit", "referenceproduit"),
    *("refproduit", "article", "produit"),
    *("idarticulo", "codigoarticulo", "idproducto", "productoid", "codigoproducto", "articulo", "producto"),
    *("商品id", "商品编号", "商品编码", "商品号", "物品id", "物品编号", "产品id", "产品编号", "产品编码", "货号"),
    *("商品編號", "產品編號", "商品", "物品", "产品", "產品"),
]
# the moment of the order before other moments, and a day before a time without one ("Zeit" beside "Datum")
TIME_NAMES = [
    *("boughtat", "purchasedat", "orderedat", "createdat", "orderdate", "purchasedate", "timestamp", "time"),
    *("unixreviewtime", "unixtime", "unixtimestamp", "datetime", "date", "eventtime", "reviewtime", "ratedat"),
    *("invoicedate", "tdat", "ts"),
    *("bestellzeitpunkt", "bestelldatum", "kaufzeitpunkt", "kaufdatum", "zeitstempel", "zeitpunkt"),
    *("rechnungsdatum", "datum", "zeit"),
    *("datecommande", "datedecommande", "datedelacommande", "dateachat", "datedachat", "horodatage", "dateheure"),
    *("fechapedido", "fechadepedido", "fechadelpedido", "fechacompra", "fechadecompra", "fechahora", "fecha"),
    *("下单时间", "购买时间", "订单时间", "交易时间", "创建时间", "时间戳", "时间", "下单日期", "购买日期", "订单日期"),
    *("日期", "下單時間", "購買時間", "訂單時間", "時間", "訂單日期"),
]
PART_NAMES = ["split", "part", "fold", "subset", "partition"]
POSITION_NAMES = ["position", "pos", "rank", "order", "sequence", "seq", "step"]
RATING_NAMES = [
    *("rating", "ratings", "overall", "stars", "starrating", "score", "userrating", "reviewrating", "reviewscore"),
    *("ratingvalue", "reviewoverall", "bookrating", "rate", "grade", "preference", "value", "feedback"),
    *("bewertung", "bewertungen", "sterne", "wertung", "punkte", "punktzahl", "gesamtbewertung"),
    *("note", "notes", "notation", "evaluation", "etoiles", "etoile", "appreciation"),
    *("puntuacion", "calificacion", "valoracion", "estrellas", "puntaje", "nota"),
    *("评分", "评级", "星级", "打分", "得分", "分数", "用户评分", "評分", "評級", "星級", "得分數"),
]
"""How much somebody liked an item; it is read with ``data.min_value`` alone, and else ``ratings`` tells of it."""

EVENT_NAMES = [
    *("eventtype", "event", "eventname", "action", "actiontype", "behavior", "behaviour", "behaviortype"),
    *("behaviourtype", "interactiontype", "activitytype", "ereignis", "ereignistyp", "evenement", "evento"),
    *("行为", "行为类型", "事件", "事件类型", "行為", "行為類型", "事件類型"),
]
"""What somebody did with an item; it is read with ``data.event_weights`` alone, and else ``signals_of_log`` tells of it."""

TEXT_NAMES = {
    Columns.TITLE: [
        *("title", "name", "movietitle", "itemname", "itemtitle", "productname", "producttitle", "booktitle"),
        "trackname",
        *("produktname", "artikelname", "artikelbezeichnung", "produktbezeichnung", "bezeichnung", "titel"),
        *("nomproduit", "nomduproduit", "nomarticle", "titre", "libelle", "designation", "nom"),
        *("nombreproducto", "nombredelproducto", "nombrearticulo", "titulo", "nombre"),
        *("商品名称", "商品名", "商品标题", "产品名称", "产品名", "标题", "名称", "书名", "片名", "电影名"),
        *("商品名稱", "產品名稱", "標題", "名稱"),
    ],
    Columns.BRAND: [
        *("brand", "store", "manufacturer", "brandname"),
        *("marke", "markenname", "hersteller"),
        *("marque", "fabricant", "marca", "fabricante"),
        *("品牌", "品牌名称", "品牌名稱", "制造商", "厂商", "生产商"),
    ],
    Columns.CATEGORIES: [
        *("categories", "category", "genres", "genre", "maincategory", "maincat", "class"),
        *("kategorien", "kategorie", "warengruppe", "warengruppen", "produktkategorie", "produktgruppe"),
        "artikelgruppe",
        *("categorie", "categoria", "categorias", "genero", "generos"),
        *("类目", "类别", "分类", "品类", "商品类目", "商品类别", "商品分类", "产品类别", "产品分类", "类型"),
        *("類別", "分類", "商品類別", "商品分類"),
    ],
    Columns.DESCRIPTION: [
        *("description", "desc", "productdescription", "overview", "plot", "summary"),
        *("beschreibung", "produktbeschreibung", "artikelbeschreibung"),
        *("descriptif", "descriptionproduit", "descriptionduproduit", "descripcion", "descripcionproducto"),
        "descripciondelproducto",
        *("描述", "商品描述", "产品描述", "商品详情", "详情", "简介", "說明", "说明"),
    ],
}
"""Texts of a catalogue; of a price there is no column here, as numbers are for filters (``data.readers.column_types``)."""
