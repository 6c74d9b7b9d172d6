"""The endpoints that answer about users and movies."""

from __future__ import annotations

from collections.abc import Mapping
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
LONGEST_KEY = 1_000  # bytes of a query whose answer is cached


def routes(service: Service) -> APIRouter:
    """Return the endpoints of a service."""
    router = APIRouter()
    _add_lists(router, service)
    _add_facts(router, service)
    return router


def _add_lists(router: APIRouter, service: Service) -> None:
    """Add the endpoints that answer with a list."""

    @router.get("/recommend", response_model=ListReply, openapi_extra=in_query(RecommendQuestion))
    async def recommend(request: Request) -> Response:
        """Return a user's top k movies; the most popular ones for somebody unknown."""
        question = of_query(RecommendQuestion, request)
        served, chosen = await service.choose(question.version, question.user)
        key = (served.mark, chosen, request.scope["query_string"])
        answer = service.cache.get(key)
        if answer is None:
            call = service.in_thread if question.takes_long else _directly
            answer = await call(_list, served, chosen, question)
            if len(key[2]) <= LONGEST_KEY:
                service.cache.keep(key, answer)
        if question.is_plain and answer.reason == "known":
            served.drift.serve(answer.predicted)
        return _answered(service, request, answer, is_list=True)

    @router.post("/newcomer", response_model=NewcomerReply)
    async def newcomer(request: Request, question: NewcomerQuestion) -> Response:
        """Return the top k movies of somebody who was not in training, from their ratings."""
        served, chosen = await service.choose(question.version, _key_of(question))
        answer = await service.in_thread(_newcomer, served, chosen, question)
        return _answered(service, request, answer, is_list=True)


def _add_facts(router: APIRouter, service: Service) -> None:
    """Add the endpoints about single movies."""

    @router.post("/score", response_model=ScoreReply)
    async def score(request: Request, question: ScoreQuestion) -> Response:
        """Return what some movies are worth to a user; somebody unknown gets numbers of ratings."""
        served, chosen = await service.choose(question.version, question.user)
        return _answered(service, request, _scores(served, chosen, question))

    @router.get("/similar", response_model=SimilarReply, openapi_extra=in_query(SimilarQuestion))
    async def similar(request: Request) -> Response:
        """Return the movies most like one."""
        question = of_query(SimilarQuestion, request)
        served, chosen = await service.choose(question.version, question.user)
        key = (served.mark, chosen, "similar", question.movie, question.k)
        answer = service.cache.get(key)
        if answer is None:
            answer = service.cache.keep(key, _similar(served, chosen, question))
        return _answered(service, request, answer)

    @router.get("/explain", response_model=ExplainReply, openapi_extra=in_query(ExplainQuestion))
    async def explain(request: Request) -> Response:
        """Return why a movie is recommended to a user, or is not."""
        question = of_query(ExplainQuestion, request)
        served, chosen = await service.choose(question.version, question.user)
        answer = await service.in_thread(_explanation, served, chosen, question)
        return _answered(service, request, answer)

    @router.post("/feedback", response_model=FeedbackReply, status_code=201)
    async def feedback(request: Request, given: FeedbackGiven) -> Response:
        """Keep a thumb, in place of an earlier one of this user on this movie."""
        served, chosen = await service.choose(given.version, given.user)
        served.version.dataset.movies.index(given.movie)
        answer = await service.in_thread(_feedback, service, served, chosen, given)
        return _answered(service, request, answer, status=201)


async def _directly(work: Any, *arguments: Any) -> Any:
    """Call directly what takes less time than a change of threads."""
    return work(*arguments)


def _answered(
    service: Service, request: Request, answer: Answer, *, is_list: bool = False, status: int = 200
) -> Response:
    request.scope["movierec"] = answer
    service.count(request.scope["path"], answer, is_list=is_list)
    return Response(answer.body, status, media_type=JSON)


def _answer(
    served: ServedVersion, chosen: str, reason: str, content: Mapping[str, Any],
    predicted: tuple[float | None, ...] = (),
) -> Answer:  # fmt: skip
    """Return an answer, which names its version and how that was chosen before its content."""
    body = encoded({"version": served.name, "chosen": chosen, **content})
    return Answer(body, served.name, reason, predicted)


def _list(served: ServedVersion, chosen: str, question: RecommendQuestion) -> Answer:
    return _list_for(served.version.person(question.user), served, chosen, question)


def _newcomer(served: ServedVersion, chosen: str, question: NewcomerQuestion) -> Answer:
    features = None if question.features is None else question.features.model_dump()
    person = served.version.newcomer(question.ratings, features)
    return _list_for(person, served, chosen, question, explain=question.explain)


def _list_for(
    person: Person,
    served: ServedVersion,
    chosen: str,
    question: RecommendQuestion | NewcomerQuestion,
    *,
    explain: int = 0,
) -> Answer:
    found = served.version.recommend_for(person, **question.options)
    lines = lines_of(found, distribution=question.distribution)
    for line in lines[:explain]:
        line["explanation"] = explained(served.version.explain(person, line["movie"]))
    content = {"user": question.user, "reason": person.reason, "recommendations": lines}
    predicted = tuple(line.predicted_rating for line in found)
    return _answer(served, chosen, person.reason, content, predicted)


def _key_of(question: NewcomerQuestion) -> str:
    """Return a newcomer's key for the split: without a name, their ratings, whatever the order."""
    return question.user or repr(sorted(question.ratings.items()))


def _scores(served: ServedVersion, chosen: str, question: ScoreQuestion) -> Answer:
    person = served.version.person(question.user)
    movies = served.version.dataset.movies.indices(question.movies)
    scores = served.version.scores_of(person)[movies].tolist()
    stars = _stars(served, person, movies)
    lines = [
        {"movie": movie, "score": score, "predicted_rating": rating}
        for movie, score, rating in zip(question.movies, scores, stars, strict=True)
    ]
    content = {"user": question.user, "reason": person.reason, "scores": lines}
    return _answer(served, chosen, person.reason, content)


def _stars(served: ServedVersion, person: Person, movies: np.ndarray) -> list[float | None]:
    if person.reason == "fallback" or not served.version.predicts_ratings:
        return [None] * len(movies)
    stars: list[float | None] = stars_and_probabilities(person, movies)[0].tolist()
    return stars


def _similar(served: ServedVersion, chosen: str, question: SimilarQuestion) -> Answer:
    lines = [
        {"rank": line.rank, "movie": line.movie_id, "title": line.title, "year": line.year,
         "genres": line.genres, "similarity": line.similarity, "basis": line.basis,
         "version": line.version}
        for line in served.version.similar(question.movie, question.k)
    ]  # fmt: skip
    return _answer(served, chosen, "similar", {"movie": question.movie, "similar": lines})


def _explanation(served: ServedVersion, chosen: str, question: ExplainQuestion) -> Answer:
    found = served.version.explain(question.user, question.movie, most=question.most)
    return _answer(served, chosen, found.reason, explained(found))


def _feedback(service: Service, served: ServedVersion, chosen: str, given: FeedbackGiven) -> Answer:
    record = service.store.feedback.add(
        version=served.name,
        dataset=served.record.fingerprint,
        user_id=given.user,
        movie_id=given.movie,
        is_liked=given.liked,
        rank=given.rank,
        source="api",
    )
    content = {
        "user": record.user_id,
        "movie": record.movie_id,
        "liked": record.is_liked,
        "rank": record.rank,
        "at": record.at.isoformat(),
    }
    return _answer(served, chosen, "feedback", content)
