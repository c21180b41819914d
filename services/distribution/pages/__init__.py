"""The pages of distribution, in French: a structure's home and needs, its till, its vouchers; the board of the staff."""

from fastapi import APIRouter

from services.distribution.pages import board, home, till, vouchers

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
for part in (home, till, vouchers, board):
    router.include_router(part.router, prefix="/distribution")
