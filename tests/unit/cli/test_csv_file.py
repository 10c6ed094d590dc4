"""CSV files as people and spreadsheets write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackingmore.api.shipments import CREATE_FIELDS
from airflow_provider_trackingmore.cli.csv_file import REQUIRED, FileError, read_sheet

COLUMNS = (*REQUIRED, *CREATE_FIELDS)


def shipments(text: str) -> list[dict[str, str]]:
    return [row.shipment for row in read_sheet(text.encode()).rows]


def problems(text: str) -> list[tuple[int, str]]:
    return [(row.line, row.problem) for row in read_sheet(text.encode()).rows if row.problem]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("begin", ["", "\ufeff", "\n"])
def test_delimiter_and_line_ends_are_found(separator: str, end: str, begin: str) -> None:
    lines = ("carrier_code,tracking_number,title", 'usps,9400100000000000000000,"a, b; c"')
    text = begin + "".join(line + end for line in lines)
    if separator != ",":
        text = text.replace("e,t", f"e{separator}t").replace("r,t", f"r{separator}t").replace("s,9", f"s{separator}9")
        text = text.replace('0,"', f'0{separator}"')
    assert shipments(text) == [
        {"carrier_code": "usps", "tracking_number": "9400100000000000000000", "title": "a, b; c"}
    ]


def test_a_number_is_kept_as_text() -> None:
    numbers = ["007", "12345678901234567890123456789012345678", "1.0", "1_000", "0x10", "-5"]
    assert [
        row["tracking_number"]
        for row in shipments("carrier_code,tracking_number\n" + "".join(f"usps,{number}\n" for number in numbers))
    ] == numbers


@pytest.mark.parametrize("number", ["9.4001E+21", "9,4001E+21", "9E+21", "9.4001e+21"])
def test_a_number_that_a_spreadsheet_rounded_is_a_problem(number: str) -> None:
    text = f"carrier_code;tracking_number\nusps;{number}\n"
    assert problems(text) == [(2, f"a spreadsheet rounded the tracking number to {number}: format its column as text")]


def test_case_blanks_and_hyphens_in_column_names_do_not_matter() -> None:
    assert shipments("Tracking Number , CARRIER-CODE,Order_ID\nA1,usps,O1\n") == [
        {"tracking_number": "A1", "carrier_code": "usps", "order_id": "O1"}
    ]


def test_every_field_of_the_api_is_a_column() -> None:
    values = [f"value{position}" for position, _ in enumerate(COLUMNS)]
    assert shipments(",".join(COLUMNS) + "\n" + ",".join(values)) == [dict(zip(COLUMNS, values, strict=True))]


def test_unknown_columns_are_named_and_left_out() -> None:
    sheet = read_sheet(b"carrier_code,colour,tracking_number,,Shop Name\nusps,red,A1,x,mine\n")
    assert sheet.unknown == ("colour", "(no name)", "Shop Name")
    assert sheet.rows[0].shipment == {"carrier_code": "usps", "tracking_number": "A1"}


def test_empty_cells_and_rows_are_ignored() -> None:
    sheet = read_sheet(b"carrier_code,tracking_number,order_id\n\nusps,A1,\n,,\n  , ,\nups,A2\n")
    assert [(row.line, row.shipment) for row in sheet.rows] == [
        (3, {"carrier_code": "usps", "tracking_number": "A1"}),
        (6, {"carrier_code": "ups", "tracking_number": "A2"}),
    ]


def test_the_line_of_a_row_is_where_it_begins() -> None:
    text = 'carrier_code,tracking_number,title\nusps,A1,"two\nlines"\nups,9E+21,\n'
    assert [line for line, _ in problems(text)] == [4]


def test_an_extra_cell_is_a_problem_unless_it_is_empty() -> None:
    text = "carrier_code,tracking_number,title\nusps,A1,a mug, blue\nusps,A2,a mug,,\n"
    assert problems(text) == [(2, "more cells than the 3 columns: quote cells that contain the delimiter")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty: the first line must name the columns, such as carrier_code,tracking_number"),
        (b"\xef\xbb\xbf \n", "it is empty"),
        (b"tracking_number\nA1\n", "no column carrier_code; it has tracking_number"),
        (b";\n", "no column carrier_code and no column tracking_number; it has none"),
        (b"a,b\n1,2\n", "no column carrier_code and no column tracking_number; it has a, b"),
        (b"carrier_code,tracking_number,Tracking Number\n", "more than one column tracking_number"),
        (b"carrier_code,tracking_number\nusps,M\xfcller\n", "line 2 is not UTF-8: save the file as 'CSV UTF-8'"),
        ("carrier_code,tracking_number\n".encode("utf-16-le"), "no column carrier_code"),
        (b"\xff\xfea", "it begins like UTF-16 but is not valid UTF-16: save the file as 'CSV UTF-8'"),
        (b'carrier_code,tracking_number\nusps,"A1"x\n', "line 2: "),
        (b'carrier_code,tracking_number\nusps,"A1\nups,A2\n', "line 2: unexpected end of data"),
        (b"carrier_code,tracking_number\nusps," + b"9" * 200_000, "line 2: field larger than field limit"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(content: bytes, said: str) -> None:
    with pytest.raises(FileError) as caught:
        read_sheet(content)
    assert said in str(caught.value)


@given(st.binary(max_size=200) | st.text("carier_codetkngum,;\t\n\r\"' ", max_size=200).map(str.encode))
def test_any_file_is_read_or_refused(content: bytes) -> None:
    for text in (content, b"carrier_code,tracking_number\n" + content):
        try:
            sheet = read_sheet(text)
        except FileError:
            continue
        assert all(set(row.shipment) <= set(COLUMNS) and row.line >= 1 for row in sheet.rows)


def test_utf_16_with_a_byte_order_mark_is_read() -> None:
    text = "carrier_code\ttracking_number\ttitle\nusps\tA1\tgröße\n"
    for encoding in ("utf-16", "utf-16-be"):
        content = text.encode(encoding) if encoding == "utf-16" else b"\xfe\xff" + text.encode(encoding)
        assert read_sheet(content).rows[0].shipment["title"] == "größe"


def test_a_similar_column_is_suggested() -> None:
    assert read_sheet(b"carrier_code,tracking_number,titel\n").unknown == ("titel; did you mean 'title'?",)


def test_other_commands_read_other_columns() -> None:
    sheet = read_sheet(b"carrier_code,tracking_number,archived,title\nusps,A1,true,x\n", ("archived",))
    assert sheet.rows[0].shipment == {"carrier_code": "usps", "tracking_number": "A1", "archived": "true"}
    assert sheet.unknown == ("title",)
