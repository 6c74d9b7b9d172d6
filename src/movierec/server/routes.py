"""The endpoints that answer about users and movies."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from movierec.inference.person import Person, stars_and_probabilities
from movierec.server.encoding import Answer, encoded, explained, lines_of
from movierec.server.requests import (
    ExplainQuestion,
    FeedbackGiven,
    NewcomerQuestion,
    RecommendQuestion,
    ScoreQuestion,
    SimilarQuestion,
    in_query,
    of_query,
)
from movierec.server.responses import (
    ExplainReply,
    FeedbackReply,
    ListReply,
    NewcomerReply,
    ScoreReply,
    SimilarReply,
)
from movierec.server.served_version import ServedVersion
from movierec.server.service import Service

__all__ = ["routes"]

JSON = "application/json"
LONGEST_KEY = 1_000  # bytes of a question whose answer is kept


def routes(service: Service) -> APIRouter:
    """Return the endpoints of a service."""
    router = APIRouter()
    _add_lists(router, service)
    _add_facts(router, service)
    return router


def _add_lists(router: APIRouter, service: Service) -> None:
    """Add what answers with a list for somebody."""

    @router.get("/recommend", response_model=ListReply, openapi_extra=in_query(RecommendQuestion))
    async def recommend(request: Request) -> Response:
        """Return a user's top k movies; the most popular ones for somebody unknown."""
        asked = of_query(RecommendQuestion, request)
        held, chosen = await service.held(asked.version, asked.user)
        key = (held.mark, chosen, request.scope["query_string"])
        answer = service.cache.get(key)
        if answer is None:
            made = service.in_thread if asked.takes_long else _at_once
            answer = await made(_list, held, chosen, asked)
            if len(key[2]) <= LONGEST_KEY:
                service.cache.keep(key, answer)
        if asked.is_plain and answer.reason == "known":
            held.drift.serve(answer.predicted)
        return _answered(service, request, answer, is_list=True)

    @router.post("/newcomer", response_model=NewcomerReply)
    async def newcomer(request: Request, asked: NewcomerQuestion) -> Response:
        """Return the top k movies of somebody who was not in training, from their ratings."""
        held, chosen = await service.held(asked.version, asked.user or _standing_for(asked))
        answer = await service.in_thread(_newcomer, held, chosen, asked)
        return _answered(service, request, answer, is_list=True)


def _add_facts(router: APIRouter, service: Service) -> None:
    """Add what answers about single movies, and what takes thumbs."""

    @router.post("/score", response_model=ScoreReply)
    async def score(request: Request, asked: ScoreQuestion) -> Response:
        """Return what some movies are worth to a user; somebody unknown gets numbers of ratings."""
        held, chosen = await service.held(asked.version, asked.user)
        return _answered(service, request, _scores(held, chosen, asked))

    @router.get("/similar", response_model=SimilarReply, openapi_extra=in_query(SimilarQuestion))
    async def similar(request: Request) -> Response:
        """Return the movies most like one."""
        asked = of_query(SimilarQuestion, request)
        held, chosen = await service.held(asked.version, asked.user)
        key = (held.mark, chosen, "similar", asked.movie, asked.k)
        answer = service.cache.get(key) or service.cache.keep(key, _similar(held, chosen, asked))
        return _answered(service, request, answer)

    @router.get("/explain", response_model=ExplainReply, openapi_extra=in_query(ExplainQuestion))
    async def explain(request: Request) -> Response:
        """Return why a movie is recommended to a user, or is not."""
        asked = of_query(ExplainQuestion, request)
        held, chosen = await service.held(asked.version, asked.user)
        answer = await service.in_thread(_explanation, held, chosen, asked)
        return _answered(service, request, answer)

    @router.post("/feedback", response_model=FeedbackReply, status_code=201)
    async def feedback(request: Request, given: FeedbackGiven) -> Response:
        """Keep a thumb, in place of an earlier one of this user on this movie."""
        held, chosen = await service.held(given.version, given.user)
        held.version.dataset.movies.index(given.movie)
        answer = await service.in_thread(_kept, service, held, chosen, given)
        return _answered(service, request, answer, status=201)


async def _at_once(work: Any, *arguments: Any) -> Any:
    """Do what takes less than changing to a thread."""
    return work(*arguments)


def _answered(
    service: Service, request: Request, answer: Answer, *, is_list: bool = False, status: int = 200
) -> Response:
    request.scope["movierec"] = answer
    service.count(request.scope["path"], answer, is_list=is_list)
    return Response(answer.body, status, media_type=JSON)


def _list(held: ServedVersion, chosen: str, asked: RecommendQuestion) -> Answer:
    person = held.version.person(asked.user)
    lines = held.version.recommend_for(person, **asked.options)
    content = {
        "version": held.name,
        "chosen": chosen,
        "user": asked.user,
        "reason": person.reason,
        "recommendations": lines_of(lines, distribution=asked.distribution),
    }
    predicted = tuple(line.predicted_rating for line in lines)
    return Answer(encoded(content), held.name, person.reason, predicted)


def _newcomer(held: ServedVersion, chosen: str, asked: NewcomerQuestion) -> Answer:
    features = None if asked.features is None else asked.features.model_dump()
    person = held.version.newcomer(asked.ratings, features)
    lines = held.version.recommend_for(person, **asked.options)
    found = lines_of(lines, distribution=asked.distribution)
    for line in found[: asked.explain]:
        line["explanation"] = explained(held.version.explain(person, line["movie"]))
    content = {
        "version": held.name,
        "chosen": chosen,
        "user": asked.user,
        "reason": person.reason,
        "recommendations": found,
    }
    return Answer(encoded(content), held.name, person.reason)


def _standing_for(asked: NewcomerQuestion) -> str:
    """Return what stands for a newcomer without a name: the same ratings, the same version."""
    return repr(sorted(asked.ratings.items()))


def _scores(held: ServedVersion, chosen: str, asked: ScoreQuestion) -> Answer:
    person = held.version.person(asked.user)
    movies = held.version.dataset.movies.indices(asked.movies)
    scores = held.version.scores_of(person)[movies].tolist()
    stars = _stars(held, person, movies)
    content = {
        "version": held.name,
        "chosen": chosen,
        "user": asked.user,
        "reason": person.reason,
        "scores": [
            {"movie": movie, "score": score, "predicted_rating": rating}
            for movie, score, rating in zip(asked.movies, scores, stars, strict=True)
        ],
    }
    return Answer(encoded(content), held.name, person.reason)


def _stars(held: ServedVersion, person: Person, movies: np.ndarray) -> list[float | None]:
    if person.reason == "fallback" or not held.version.predicts_ratings:
        return [None] * len(movies)
    stars: list[float | None] = stars_and_probabilities(person, movies)[0].tolist()
    return stars


def _similar(held: ServedVersion, chosen: str, asked: SimilarQuestion) -> Answer:
    lines: list[dict[str, Any]] = [
        {
            "rank": line.rank,
            "movie": line.movie_id,
            "title": line.title,
            "year": line.year,
            "genres": line.genres,
            "similarity": line.similarity,
            "basis": line.basis,
            "version": line.version,
        }
        for line in held.version.similar(asked.movie, asked.k)
    ]
    content = {"version": held.name, "chosen": chosen, "movie": asked.movie, "similar": lines}
    return Answer(encoded(content), held.name, "similar")


def _explanation(held: ServedVersion, chosen: str, asked: ExplainQuestion) -> Answer:
    found = held.version.explain(asked.user, asked.movie, most=asked.most)
    content = {"version": held.name, "chosen": chosen, **explained(found)}
    return Answer(encoded(content), held.name, found.reason)


def _kept(service: Service, held: ServedVersion, chosen: str, given: FeedbackGiven) -> Answer:
    record = service.store.feedback.add(
        version=held.name,
        dataset=held.record.fingerprint,
        user_id=given.user,
        movie_id=given.movie,
        is_liked=given.liked,
        rank=given.rank,
        source="api",
    )
    content = {
        "version": held.name,
        "chosen": chosen,
        "user": record.user_id,
        "movie": record.movie_id,
        "liked": record.is_liked,
        "rank": record.rank,
        "at": record.at.isoformat(),
    }
    return Answer(encoded(content), held.name, "feedback")
