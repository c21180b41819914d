"""What outlives the process."""

from pathlib import Path
from urllib.parse import urlsplit

from deploy.local.platform import Platform
from services.intake.app import build
from tests.intake.conftest import settled
from tests.intake.test_form import PAGES, begun, copied, filled, post, value_of
from tests.support.platform import unique
from tests.support.service import Ground, free_port, running


async def test_drafts_and_links_outlive_the_process(platform: Platform, tmp_path: Path) -> None:
    ground = Ground(platform, unique("t") + ".", tmp_path)
    async with settled(ground, platform) as settings:
        async with running(build, settings) as site, site.client(browser=True) as person:
            draft = await begun(person)
            await post(person, f"{draft}/lieu", PAGES["lieu"] | {"postal_code": "690 ?"})
            sent = await filled(person)
            await post(person, f"{sent}/envoyer", {"owner": "oui"})
            thanks = (await person.get(f"{sent}/merci")).text
        again = settings.model_copy(update={"http_port": free_port()})
        async with running(build, again) as site, site.client(browser=True) as person:
            assert value_of(await person.get(f"{draft}/materiel"), "laptop") == "24"
            assert value_of(await person.get(f"{draft}/lieu"), "postal_code") == "690 ?"
            page = await person.get(f"{sent}/merci")
            assert page.text == thanks
            assert (await person.get(urlsplit(copied(page, "lien-suivi")).path)).status_code == 200
