"""Snippets: short texts that are kept, changed, deleted, and offered beside titles and texts."""

from typing import Any

import pytest
from django.urls import reverse

from campaigns import snippets
from campaigns.errors import NameTakenError, SnippetError
from campaigns.models import Snippet
from devices.models import Application, AuditEntry, Role
from tests.factories import make_application, make_campaign, make_user, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> Application:
    return make_application()


def make_snippet(shop: Application, name: str = "Greeting", text: str = "Hello,") -> Snippet:
    return snippets.create(shop, make_user(Role.MARKETER, shop), name=name, text=text)


def test_each_change_of_a_snippet_stands_in_the_trail(shop: Application) -> None:
    ana = make_user(Role.MARKETER, shop)
    made = snippets.create(shop, ana, name="Greeting", text="Hello,")
    snippets.change(made, ana, name="Greeting", text="Hello,")  # changes nothing
    snippets.change(made, ana, name="Welcome", text="Good morning,")
    snippets.delete(made, ana)
    snippets.delete(made, ana)

    entries = AuditEntry.objects.filter(object_type="snippet").order_by("pk")
    assert [(each.action, each.before, each.after) for each in entries] == [
        ("create snippet", None, {"name": "Greeting", "text": "Hello,"}),
        ("change snippet", {"name": "Greeting", "text": "Hello,"},
         {"name": "Welcome", "text": "Good morning,"}),
        ("delete snippet", {"name": "Welcome", "text": "Good morning,"}, None),
    ]  # fmt: skip
    with pytest.raises(SnippetError, match="deleted"):
        snippets.change(made, ana, name="Welcome", text="Too late")


def test_the_names_of_snippets_differ_in_an_application(shop: Application) -> None:
    ana = make_user(Role.MARKETER, shop)
    make_snippet(shop, "Greeting")
    other = make_snippet(shop, "Footer")

    with pytest.raises(NameTakenError, match="“Greeting” already"):
        make_snippet(shop, "Greeting")
    with pytest.raises(NameTakenError):
        snippets.change(other, ana, name="Greeting", text="x")

    assert make_snippet(make_application(), "Greeting").pk


def test_the_list_shows_snippets_and_finds_them_by_their_words(
    shop: Application, django_assert_num_queries: Any
) -> None:
    client, address = signed_in(shop), reverse("campaigns:snippets", args=[shop.pk])
    assert "No snippet yet" in client.get(address).content.decode()
    for number in range(3):
        make_snippet(shop, f"Snippet {number}", f"Words {number}")
    make_snippet(make_application(), "Not ours")

    with django_assert_num_queries(8):  # of them three for the frame
        page = client.get(address).content.decode()

    assert page.index("Snippet 2") < page.index("Words 0")
    assert "Not ours" not in page
    found = client.get(address, {"q": "words 1"}).content.decode()
    assert "Snippet 1" in found
    assert "Snippet 2" not in found


def test_a_snippet_is_written_and_changed_by_a_form(shop: Application) -> None:
    client = signed_in(shop)
    new = reverse("campaigns:snippet-new", args=[shop.pk])

    client.post(new, {"name": "Greeting", "text": 'Hi {{ first_name | default: "you" }},\r\n '})

    made = Snippet.objects.get()
    assert made.text == 'Hi {{ first_name | default: "you" }},\n '
    edit = reverse("campaigns:snippet", args=[shop.pk, made.pk])
    assert "Greeting" in client.get(edit).content.decode()
    client.post(edit, {"name": "Hello", "text": "Hello,"})
    made.refresh_from_db()
    assert (made.name, made.text) == ("Hello", "Hello,")
    gone = client.post(reverse("campaigns:snippet-delete", args=[shop.pk, made.pk]), follow=True)
    assert "Hello is deleted." in gone.content.decode()


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ({"name": "", "text": "Hello"}, "Give the snippet a name."),
        ({"name": "New", "text": "  \n"}, "Write the text that is put in."),
        ({"name": "New", "text": "Hi {{ first_nam }}"}, "Nobody has a first_nam"),
        ({"name": "New", "text": "x" * 1001}, "at most 1000 characters"),
        ({"name": "Greeting", "text": "Hello"}, "“Greeting” already"),
    ],
)
def test_what_cannot_be_a_snippet_is_said_beside_its_field(
    shop: Application, typed: dict[str, str], problem: str
) -> None:
    make_snippet(shop, "Greeting")

    answer = signed_in(shop).post(reverse("campaigns:snippet-new", args=[shop.pk]), typed)

    assert answer.status_code == 422
    assert problem in answer.content.decode()
    assert Snippet.objects.count() == 1


@pytest.mark.parametrize("role", [Role.ANALYST, Role.APPROVER, Role.SUPPORT])
def test_who_may_not_write_campaigns_reads_snippets_only(shop: Application, role: Role) -> None:
    client, made = signed_in(shop, role), make_snippet(shop)

    page = client.get(reverse("campaigns:snippets", args=[shop.pk])).content.decode()

    assert "Hello," in page
    assert "New snippet" not in page
    assert client.get(reverse("campaigns:snippet-new", args=[shop.pk])).status_code == 403
    for name in ("snippet", "snippet-delete"):
        address = reverse(f"campaigns:{name}", args=[shop.pk, made.pk])
        assert client.post(address, {"name": "x", "text": "x"}).status_code == 403


def test_the_composer_offers_snippets_of_its_application_once(shop: Application) -> None:
    make_snippet(shop, "Greeting", "Hello <b>,")
    make_snippet(make_application(), "Not ours")
    draft = make_campaign(shop)
    draft.contents.create(language="de", text="Nur heute")

    page = signed_in(shop).get(reverse("campaigns:edit", args=[shop.pk, draft.pk]))

    html = page.content.decode()
    assert html.count('data-snippet="Hello &lt;b&gt;,"') == 1
    assert html.count("data-snippets-for=") == 4  # title and text, in two languages
    assert "Not ours" not in html
