"""Sections feynman and feynman_paper: formulas of the Feynman Lectures, in their own variables, and without dimensions.

``feynman`` has the formulas of pykan's data set (pykan 0.2.8, ``kan/feynman.py``), with its names of the variables and its
ranges. They are those of the Feynman Symbolic Regression Database (Udrescu and Tegmark 2020, AI Feynman, Science Advances
6(16), eaay2631), some of textbooks. They stand under pykan's names, but for I.6.2 (there I.6.20), I.8.14 (I.8.4), I.18.12 (a
second I.18.4), I.18.14 (I.18.16), II.10.9 (I.10.9), and the spelling of people. The citation tells pykan's number.

Number 114, Jackson 2.11, is left out: pykan raises when it evaluates it. For I.16.6 (20) and Goldstein 12.80 (113), pykan has
one formula as a symbol and another as a function; here stands the one of the database, u + v and x / y.

``smooth=False`` marks a pole, a kink or an infinite slope inside a range or on its edge. 100,000 uniform points of each gave
no value and no slope that is not finite.
"""

from __future__ import annotations

import math
import re

from harness.problems.expression import of_formula
from harness.problems.problem import register

PI = math.pi
DATABASE = "Feynman Symbolic Regression Database (Udrescu and Tegmark 2020, AI Feynman), equation"
PAPER = "Liu et al. 2024, KAN: Kolmogorov-Arnold Networks, arXiv:2404.19756, section 3.3 (Feynman datasets)"


def feynman(equation: str, pykan: int, text: str, /, smooth: bool = True, **ranges: tuple[float, float]) -> None:
    """Register the formula ``text`` under the number of its equation, and pykan's; in the paper's table, too, where that
    has left it as it is.
    """
    register(
        of_formula(
            f"feynman_{_slug(equation)}",
            text,
            ranges,
            sections=("feynman", "feynman_paper") if equation in UNCHANGED else ("feynman",),
            citation=f"{DATABASE} {equation}; variables and ranges of pykan 0.2.8, kan/feynman.py, number {pykan}",
            smooth=smooth,
        )
    )


def without_dimensions(equation: str, text: str, /, smooth: bool = True, **ranges: tuple[float, float]) -> None:
    """Register what the paper's table has in the place of a formula; the ranges are ours, since it tells none."""
    register(
        of_formula(
            f"feynman_paper_{_slug(equation)}",
            text,
            ranges,
            sections=("feynman_paper",),
            citation=f"{PAPER}, equation {equation} without dimensions; ranges by this project",
            smooth=smooth,
        )
    )


def _slug(equation: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", equation.lower()).strip("_")


UNCHANGED = ("I.6.2", "I.6.2b", "I.26.2", "III.17.37")
"""Equations that have no dimensions in the Lectures either."""

UNIT = (0.0, 1.0)  # the ranges that come again and again in pykan's list
SIGNED = (-1.0, 1.0)
DIVISOR = (0.5, 2.0)
TURN = (0.0, 2 * PI)

feynman("I.6.2a", 1, "exp(-theta**2 / 2) / sqrt(2 * pi)", theta=(-3, 3))
feynman("I.6.2", 2, "exp(-theta**2 / (2 * sigma**2)) / sqrt(2 * pi * sigma**2)", theta=SIGNED, sigma=DIVISOR)
feynman(
    "I.6.2b",
    3,
    "exp(-(theta - theta1)**2 / (2 * sigma**2)) / sqrt(2 * pi * sigma**2)",
    theta=(-1.5, 1.5),
    theta1=(-1.5, 1.5),
    sigma=DIVISOR,
)
feynman(
    "I.8.14",
    4,
    "sqrt((x2 - x1)**2 + (y2 - y1)**2)",
    smooth=False,
    x1=SIGNED,
    x2=SIGNED,
    y1=SIGNED,
    y2=SIGNED,
)
feynman(
    "I.9.18",
    5,
    "G * m1 * m2 / ((x2 - x1)**2 + (y2 - y1)**2 + (z2 - z1)**2)",
    G=SIGNED,
    m1=SIGNED,
    m2=SIGNED,
    x1=(-1, -0.5),
    x2=(0.5, 1),
    y1=(-1, -0.5),
    y2=(0.5, 1),
    z1=(-1, -0.5),
    z2=(0.5, 1),
)
feynman("I.10.7", 6, "m0 / sqrt(1 - v**2 / c**2)", smooth=False, m0=UNIT, v=UNIT, c=(1, 2))
feynman(
    "I.11.19",
    7,
    "x1 * y1 + x2 * y2 + x3 * y3",
    x1=SIGNED,
    y1=SIGNED,
    x2=SIGNED,
    y2=SIGNED,
    x3=SIGNED,
    y3=SIGNED,
)
feynman("I.12.1", 8, "mu * Nn", mu=SIGNED, Nn=SIGNED)
feynman("I.12.2", 9, "q1 * q2 / (4 * pi * epsilon * r**2)", q1=SIGNED, q2=SIGNED, epsilon=DIVISOR, r=DIVISOR)
feynman("I.12.4", 10, "q1 / (4 * pi * epsilon * r**2)", q1=SIGNED, epsilon=DIVISOR, r=DIVISOR)
feynman("I.12.5", 11, "q2 * Ef", q2=SIGNED, Ef=SIGNED)
feynman("I.12.11", 12, "q * (Ef + B * v * sin(theta))", q=SIGNED, Ef=SIGNED, B=SIGNED, v=SIGNED, theta=TURN)
feynman("I.13.4", 13, "m * (u**2 + v**2 + w**2) / 2", m=SIGNED, u=SIGNED, v=SIGNED, w=SIGNED)
feynman("I.13.12", 14, "G * m1 * m2 * (1 / r2 - 1 / r1)", G=UNIT, m1=UNIT, m2=UNIT, r1=DIVISOR, r2=DIVISOR)
feynman("I.14.3", 15, "m * g * z", m=UNIT, g=UNIT, z=SIGNED)
feynman("I.14.4", 16, "ks * x**2 / 2", ks=UNIT, x=SIGNED)
feynman(
    "I.15.3x",
    17,
    "(x - u * t) / sqrt(1 - u**2 / c**2)",
    smooth=False,
    x=SIGNED,
    u=SIGNED,
    t=SIGNED,
    c=(1, 2),
)
feynman(
    "I.15.3t",
    18,
    "(t - u * x / c**2) / sqrt(1 - u**2 / c**2)",
    smooth=False,
    t=SIGNED,
    u=SIGNED,
    x=SIGNED,
    c=(1, 2),
)
feynman("I.15.10", 19, "m0 * v / sqrt(1 - v**2 / c**2)", m0=SIGNED, v=(-0.9, 0.9), c=(1.1, 2))
feynman("I.16.6", 20, "(u + v) / (1 + u * v / c**2)", u=(-0.8, 0.8), v=(-0.8, 0.8), c=(1, 2))
feynman("I.18.4", 21, "(m1 * r1 + m2 * r2) / (m1 + m2)", m1=(0.5, 1), r1=SIGNED, m2=(0.5, 1), r2=SIGNED)
feynman("I.18.12", 22, "r * F * sin(theta)", r=SIGNED, F=SIGNED, theta=TURN)
feynman("I.18.14", 23, "m * r * v * sin(theta)", m=SIGNED, r=SIGNED, v=SIGNED, theta=TURN)
feynman("I.24.6", 24, "m * (omega**2 + omega0**2) * x**2 / 4", m=UNIT, omega=SIGNED, omega0=SIGNED, x=SIGNED)
feynman("I.25.13", 25, "q / C", q=SIGNED, C=DIVISOR)
feynman("I.26.2", 26, "arcsin(n * sin(theta2))", n=(0, 0.99), theta2=TURN)
feynman("I.27.6", 27, "1 / (1 / d1 + n / d2)", d1=DIVISOR, d2=(1, 2), n=DIVISOR)
feynman("I.29.4", 28, "omega / c", omega=UNIT, c=DIVISOR)
feynman(
    "I.29.16",
    29,
    "sqrt(x1**2 + x2**2 - 2 * x1 * x2 * cos(theta1 - theta2))",
    smooth=False,
    x1=SIGNED,
    x2=SIGNED,
    theta1=TURN,
    theta2=TURN,
)
feynman("I.30.3", 30, "I0 * sin(n * theta / 2)**2 / sin(theta / 2)**2", I0=UNIT, n=(0, 4), theta=(0.4 * PI, 1.6 * PI))
feynman("I.30.5", 31, "arcsin(lamb / (n * d))", smooth=False, lamb=SIGNED, n=(1, 1.5), d=(1, 1.5))
feynman("I.32.5", 32, "q**2 * a**2 / (epsilon * c**3)", q=SIGNED, a=SIGNED, epsilon=DIVISOR, c=DIVISOR)
feynman(
    "I.32.17",
    33,
    "epsilon * c * Ef**2 * 4 * pi * r**2 * omega**4 / (3 * (omega**2 - omega0**2)**2)",
    smooth=False,
    epsilon=UNIT,
    c=UNIT,
    Ef=SIGNED,
    r=UNIT,
    omega=UNIT,
    omega0=(1, 2),
)
feynman("I.34.8", 34, "q * V * B / p", q=SIGNED, V=SIGNED, B=SIGNED, p=DIVISOR)
feynman("I.34.10", 35, "omega0 / (1 - v / c)", omega0=UNIT, v=(0, 0.9), c=(1.1, 2))
feynman("I.34.14", 36, "omega0 * (1 + v / c) / sqrt(1 - v**2 / c**2)", omega0=UNIT, v=(-0.9, 0.9), c=(1.1, 2))
feynman("I.34.27", 37, "hbar * omega", hbar=SIGNED, omega=SIGNED)
feynman("I.37.4", 38, "I1 + I2 + 2 * sqrt(I1 * I2) * cos(delta)", I1=(0.1, 1), I2=(0.1, 1), delta=TURN)
feynman("I.38.12", 39, "4 * pi * epsilon * hbar**2 / (m * q**2)", epsilon=UNIT, hbar=UNIT, m=DIVISOR, q=DIVISOR)
feynman("I.39.10", 40, "3 * pF * V / 2", pF=UNIT, V=UNIT)
feynman("I.39.11", 41, "pF * V / (gamma - 1)", gamma=(1.5, 3), pF=UNIT, V=UNIT)
feynman("I.39.22", 42, "n * kb * T / V", n=UNIT, kb=UNIT, T=UNIT, V=DIVISOR)
feynman("I.40.1", 43, "n0 * exp(-m * g * x / (kb * T))", n0=UNIT, m=SIGNED, g=SIGNED, x=SIGNED, kb=(1, 2), T=(1, 2))
feynman(
    "I.41.16",
    44,
    "hbar * omega**3 / (pi**2 * c**2 * (exp(hbar * omega / (kb * T)) - 1))",
    hbar=(0.5, 1),
    omega=(0.5, 1),
    c=DIVISOR,
    kb=DIVISOR,
    T=DIVISOR,
)
feynman("I.43.16", 45, "mu * q * Ve / d", mu=UNIT, q=UNIT, Ve=UNIT, d=DIVISOR)
feynman("I.43.31", 46, "mu * kb * T", mu=UNIT, kb=UNIT, T=UNIT)
feynman("I.43.43", 47, "kb * v / (A * (gamma - 1))", gamma=(1.5, 3), kb=UNIT, v=UNIT, A=DIVISOR)
feynman("I.44.4", 48, "n * kb * T * log(V2 / V1)", n=UNIT, kb=UNIT, T=UNIT, V1=DIVISOR, V2=DIVISOR)
feynman("I.47.23", 49, "sqrt(gamma * p / rho)", gamma=(0.1, 1), p=(0.1, 1), rho=DIVISOR)
feynman("I.48.20", 50, "m * c**2 / sqrt(1 - v**2 / c**2)", m=UNIT, v=(-0.9, 0.9), c=(1.1, 2))
feynman("I.50.26", 51, "x1 * (cos(omega * t) + alpha * cos(omega * t)**2)", x1=UNIT, alpha=UNIT, omega=TURN, t=UNIT)
feynman("II.2.42", 52, "kappa * (T2 - T1) * A / d", kappa=UNIT, T1=UNIT, T2=UNIT, A=UNIT, d=DIVISOR)
feynman("II.3.24", 53, "P / (4 * pi * r**2)", P=UNIT, r=DIVISOR)
feynman("II.4.23", 54, "q / (4 * pi * epsilon * r)", q=UNIT, epsilon=DIVISOR, r=DIVISOR)
feynman("II.6.11", 55, "pd * cos(theta) / (4 * pi * epsilon * r**2)", epsilon=DIVISOR, pd=UNIT, theta=TURN, r=DIVISOR)
feynman(
    "II.6.15a",
    56,
    "3 * pd * z * sqrt(x**2 + y**2) / (4 * pi * epsilon * r**5)",
    smooth=False,
    epsilon=DIVISOR,
    pd=UNIT,
    z=UNIT,
    x=UNIT,
    y=UNIT,
    r=DIVISOR,
)
feynman(
    "II.6.15b",
    57,
    "3 * pd * cos(theta) * sin(theta) / (4 * pi * epsilon * r**3)",
    epsilon=DIVISOR,
    pd=UNIT,
    r=DIVISOR,
    theta=TURN,
)
feynman("II.8.7", 58, "3 * q**2 / (20 * pi * epsilon * d)", q=UNIT, epsilon=DIVISOR, d=DIVISOR)
feynman("II.8.31", 59, "epsilon * Ef**2 / 2", epsilon=UNIT, Ef=UNIT)
feynman("II.10.9", 60, "sigma / (epsilon * (1 + chi))", sigma=UNIT, epsilon=DIVISOR, chi=UNIT)
feynman(
    "II.11.3",
    61,
    "q * Ef / (m * (omega0**2 - omega**2))",
    q=UNIT,
    Ef=UNIT,
    m=DIVISOR,
    omega0=(1.5, 3),
    omega=UNIT,
)
feynman(
    "II.11.17",
    62,
    "n0 * (1 + pd * Ef * cos(theta) / (kb * T))",
    n0=UNIT,
    pd=SIGNED,
    Ef=SIGNED,
    theta=TURN,
    kb=DIVISOR,
    T=DIVISOR,
)
feynman("II.11.20", 63, "n * pd**2 * Ef / (3 * kb * T)", n=UNIT, pd=UNIT, Ef=UNIT, kb=DIVISOR, T=DIVISOR)
feynman(
    "II.11.27",
    64,
    "n * alpha * epsilon * Ef / (1 - n * alpha / 3)",
    n=UNIT,
    alpha=(0, 2),
    epsilon=UNIT,
    Ef=UNIT,
)
feynman("II.11.28", 65, "1 + n * alpha / (1 - n * alpha / 3)", n=UNIT, alpha=(0, 2))
feynman("II.13.17", 66, "l / (2 * pi * epsilon * c**2 * r)", epsilon=DIVISOR, c=DIVISOR, l=UNIT, r=DIVISOR)
feynman("II.13.23", 67, "rho / sqrt(1 - v**2 / c**2)", smooth=False, rho=UNIT, v=UNIT, c=(1, 2))
feynman("II.13.34", 68, "rho * v / sqrt(1 - v**2 / c**2)", smooth=False, rho=UNIT, v=UNIT, c=(1, 2))
feynman("II.15.4", 69, "-muM * B * cos(theta)", muM=UNIT, B=UNIT, theta=TURN)
feynman("II.15.5", 70, "-pd * Ef * cos(theta)", pd=UNIT, Ef=UNIT, theta=TURN)
feynman(
    "II.21.32",
    71,
    "q / (4 * pi * epsilon * r * (1 - v / c))",
    smooth=False,
    q=UNIT,
    epsilon=DIVISOR,
    r=DIVISOR,
    v=UNIT,
    c=(1, 2),
)
feynman(
    "II.24.17",
    72,
    "sqrt(omega**2 / c**2 - pi**2 / d**2)",
    smooth=False,
    omega=(1, 1.5),
    c=(0.75, 1),
    d=(PI, 1.5 * PI),
)
feynman("II.27.16", 73, "epsilon * c * Ef**2", epsilon=UNIT, c=UNIT, Ef=SIGNED)
feynman("II.27.18", 74, "epsilon * Ef**2", epsilon=UNIT, Ef=SIGNED)
feynman("II.34.2a", 75, "q * v / (2 * pi * r)", q=UNIT, v=UNIT, r=DIVISOR)
feynman("II.34.2", 76, "q * v * r / 2", q=UNIT, v=UNIT, r=UNIT)
feynman("II.34.11", 77, "g * q * B / (2 * m)", g=UNIT, q=UNIT, B=UNIT, m=DIVISOR)
feynman("II.34.29a", 78, "q * h / (4 * pi * m)", q=UNIT, h=UNIT, m=DIVISOR)
feynman("II.34.29b", 79, "g * mu * B * J / hbar", g=UNIT, mu=UNIT, B=UNIT, J=UNIT, hbar=DIVISOR)
feynman(
    "II.35.18",
    80,
    "n0 / (exp(mu * B / (kb * T)) + exp(-mu * B / (kb * T)))",
    n0=UNIT,
    mu=UNIT,
    B=UNIT,
    kb=DIVISOR,
    T=DIVISOR,
)
feynman("II.35.21", 81, "n * mu * tanh(mu * B / (kb * T))", n=UNIT, mu=UNIT, B=UNIT, kb=DIVISOR, T=DIVISOR)
feynman(
    "II.36.38",
    82,
    "mu * B / (kb * T) + mu * alpha * M / (epsilon * c**2 * kb * T)",
    mu=UNIT,
    B=UNIT,
    kb=DIVISOR,
    T=DIVISOR,
    alpha=UNIT,
    M=UNIT,
    epsilon=DIVISOR,
    c=DIVISOR,
)
feynman("II.37.1", 83, "mu * (1 + chi) * B", mu=UNIT, chi=UNIT, B=UNIT)
feynman("II.38.3", 84, "Y * A * x / d", Y=UNIT, A=UNIT, x=UNIT, d=DIVISOR)
feynman("II.38.14", 85, "Y / (2 * (1 + sigma))", Y=UNIT, sigma=UNIT)
feynman(
    "III.4.32",
    86,
    "1 / (exp(hbar * omega / (kb * T)) - 1)",
    hbar=(0.5, 1),
    omega=(0.5, 1),
    kb=DIVISOR,
    T=DIVISOR,
)
feynman(
    "III.4.33", 87, "hbar * omega / (exp(hbar * omega / (kb * T)) - 1)", hbar=UNIT, omega=UNIT, kb=DIVISOR, T=DIVISOR
)
feynman("III.7.38", 88, "2 * mu * B / hbar", mu=UNIT, B=UNIT, hbar=DIVISOR)
feynman("III.8.54", 89, "sin(E * t / hbar)**2", E=TURN, t=UNIT, hbar=DIVISOR)
feynman(
    "III.9.52",
    90,
    "pd * Ef * t * sinc((omega - omega0) * t / 2)**2 / hbar",
    pd=UNIT,
    Ef=UNIT,
    t=UNIT,
    hbar=DIVISOR,
    omega=(0, PI),
    omega0=(0, PI),
)
feynman("III.10.19", 91, "mu * sqrt(Bx**2 + By**2 + Bz**2)", smooth=False, mu=UNIT, Bx=UNIT, By=UNIT, Bz=UNIT)
feynman("III.12.43", 92, "n * hbar", n=UNIT, hbar=UNIT)
feynman("III.13.18", 93, "2 * E * d**2 * k / hbar", E=UNIT, d=UNIT, k=UNIT, hbar=DIVISOR)
feynman("III.14.14", 94, "I0 * (exp(q * Ve / (kb * T)) - 1)", I0=UNIT, q=UNIT, Ve=UNIT, kb=DIVISOR, T=DIVISOR)
feynman("III.15.12", 95, "2 * U * (1 - cos(k * d))", U=UNIT, k=TURN, d=UNIT)
feynman("III.15.14", 96, "hbar**2 / (2 * E * d**2)", hbar=UNIT, E=DIVISOR, d=DIVISOR)
feynman("III.15.27", 97, "2 * pi * alpha / (n * d)", alpha=UNIT, n=DIVISOR, d=DIVISOR)
feynman("III.17.37", 98, "beta * (1 + alpha * cos(theta))", beta=UNIT, alpha=UNIT, theta=TURN)
feynman(
    "III.19.51",
    99,
    "-m * q**4 / (2 * (4 * pi * epsilon)**2 * hbar**2 * n**2)",
    m=UNIT,
    q=UNIT,
    epsilon=DIVISOR,
    hbar=DIVISOR,
    n=DIVISOR,
)
feynman("III.21.20", 100, "-rho * q * A / m", rho=UNIT, q=UNIT, A=UNIT, m=DIVISOR)
feynman(
    "Rutherford scattering",
    101,
    "(Z1 * Z2 * alpha * hbar * c / (4 * E * sin(theta / 2)**2))**2",
    Z1=UNIT,
    Z2=UNIT,
    alpha=UNIT,
    hbar=UNIT,
    c=UNIT,
    E=DIVISOR,
    theta=(0.1 * PI, 0.9 * PI),
)
feynman(
    "Friedmann equation",
    102,
    "sqrt(8 * pi * G * rho / 3 - kf * c**2 / af**2)",
    G=(1, 2),
    rho=(1, 2),
    kf=UNIT,
    c=UNIT,
    af=(1, 2),
)
feynman(
    "Compton scattering",
    103,
    "E / (1 + E * (1 - cos(theta)) / (m * c**2))",
    E=UNIT,
    m=DIVISOR,
    c=DIVISOR,
    theta=TURN,
)
feynman(
    "Radiated gravitational wave power",
    104,
    "-32 * G**4 * (m1 * m2)**2 * (m1 + m2) / (5 * c**5 * r**5)",
    G=UNIT,
    c=DIVISOR,
    m1=UNIT,
    m2=UNIT,
    r=DIVISOR,
)
feynman(
    "Relativistic aberration",
    105,
    "arccos((cos(theta2) - v / c) / (1 - v * cos(theta2) / c))",
    smooth=False,
    theta2=(0, PI),
    v=UNIT,
    c=(1, 2),
)
feynman(
    "N-slit diffraction",
    106,
    "I0 * (sin(alpha / 2) * sin(N * delta / 2) / (alpha * sin(delta / 2) / 2))**2",
    I0=UNIT,
    alpha=(0.1 * PI, 0.9 * PI),
    delta=(0.1 * PI, 0.9 * PI),
    N=(0.5, 1),
)
feynman(
    "Goldstein 3.16",
    107,
    "sqrt(2 * (E - U - L**2 / (2 * m * r**2)) / m)",
    m=(1, 2),
    E=(2, 3),
    U=UNIT,
    L=UNIT,
    r=(1, 2),
)
feynman(
    "Goldstein 3.55",
    108,
    "m * kG * (1 + sqrt(1 + 2 * E * L**2 / (m * kG**2)) * cos(theta1 - theta2)) / L**2",
    m=DIVISOR,
    kG=DIVISOR,
    L=DIVISOR,
    E=UNIT,
    theta1=TURN,
    theta2=TURN,
)
feynman(
    "Goldstein 3.64",
    109,
    "d * (1 - alpha**2) / (1 + alpha * cos(theta2 - theta1))",
    d=UNIT,
    alpha=(0, 0.9),
    theta1=TURN,
    theta2=TURN,
)
feynman(
    "Goldstein 3.74",
    110,
    "2 * pi * sqrt(d**3 / (G * (m1 + m2)))",
    smooth=False,
    d=UNIT,
    G=DIVISOR,
    m1=DIVISOR,
    m2=DIVISOR,
)
feynman(
    "Goldstein 3.99",
    111,
    "sqrt(1 + 2 * epsilon**2 * E * L**2 / (m * (Z1 * Z2 * q**2)**2))",
    epsilon=UNIT,
    E=UNIT,
    L=UNIT,
    m=DIVISOR,
    Z1=DIVISOR,
    Z2=DIVISOR,
    q=DIVISOR,
)
feynman(
    "Goldstein 8.56",
    112,
    "sqrt((p - q * A)**2 * c**2 + m**2 * c**4) + q * Ve",
    smooth=False,
    p=UNIT,
    q=UNIT,
    A=UNIT,
    c=UNIT,
    m=UNIT,
    Ve=UNIT,
)
feynman(
    "Goldstein 12.80",
    113,
    "(p**2 + m**2 * omega**2 * x**2 * (1 + alpha * x / y)) / (2 * m)",
    m=DIVISOR,
    p=UNIT,
    omega=UNIT,
    x=UNIT,
    alpha=UNIT,
    y=DIVISOR,
)
feynman(
    "Jackson 3.45",
    115,
    "q / sqrt(r**2 + d**2 - 2 * d * r * cos(alpha))",
    smooth=False,
    q=UNIT,
    r=UNIT,
    d=UNIT,
    alpha=TURN,
)
feynman(
    "Jackson 4.60",
    116,
    "Ef * cos(theta) * ((alpha - 1) * d**3 / ((alpha + 2) * r**2) - r)",
    Ef=UNIT,
    theta=TURN,
    alpha=(0, 2),
    d=UNIT,
    r=DIVISOR,
)
feynman(
    "Jackson 11.38",
    117,
    "sqrt(1 - v**2 / c**2) * omega / (1 + v * cos(theta) / c)",
    smooth=False,
    omega=UNIT,
    v=UNIT,
    c=(1, 2),
    theta=TURN,
)
feynman(
    "Weinberg 15.2.1",
    118,
    "3 * (c**2 * kf / af**2 + H**2) / (8 * pi * G)",
    G=DIVISOR,
    c=UNIT,
    kf=UNIT,
    af=DIVISOR,
    H=UNIT,
)
feynman(
    "Weinberg 15.2.2",
    119,
    "-(c**4 * kf / af**2 + c**2 * H**2 * (1 - 2 * alpha)) / (8 * pi * G)",
    G=DIVISOR,
    c=UNIT,
    kf=UNIT,
    af=DIVISOR,
    H=UNIT,
    alpha=UNIT,
)
feynman(
    "Schwarz 13.132",
    120,
    "pi * alpha**2 * hbar**2 * omega0**2 * (omega0 / omega + omega / omega0 - sin(theta)**2) / (m * c * omega)**2",
    alpha=UNIT,
    hbar=UNIT,
    m=DIVISOR,
    c=DIVISOR,
    omega0=DIVISOR,
    omega=DIVISOR,
    theta=TURN,
)

without_dimensions(
    "I.9.18",
    "a / ((b - 1)**2 + (c - d)**2 + (e - f)**2)",
    a=SIGNED,
    b=(-2, -0.5),
    c=DIVISOR,
    d=(-2, -0.5),
    e=DIVISOR,
    f=(-2, -0.5),
)
without_dimensions("I.12.11", "1 + a * sin(theta)", a=SIGNED, theta=TURN)
without_dimensions("I.13.12", "a * (1 / b - 1)", a=UNIT, b=DIVISOR)
without_dimensions("I.15.3x", "(1 - a) / sqrt(1 - b**2)", a=SIGNED, b=(-0.9, 0.9))
without_dimensions("I.16.6", "(a + b) / (1 + a * b)", a=(-0.8, 0.8), b=(-0.8, 0.8))
without_dimensions("I.18.4", "(1 + a * b) / (1 + a)", a=DIVISOR, b=SIGNED)
without_dimensions("I.27.6", "1 / (1 + a * b)", a=DIVISOR, b=DIVISOR)
without_dimensions(
    "I.29.16", "sqrt(1 + a**2 - 2 * a * cos(theta1 - theta2))", smooth=False, a=SIGNED, theta1=TURN, theta2=TURN
)
without_dimensions("I.30.3", "sin(n * theta / 2)**2 / sin(theta / 2)**2", n=(0, 4), theta=(0.4 * PI, 1.6 * PI))
without_dimensions("I.30.5", "arcsin(a / n)", a=(-0.9, 0.9), n=(1, 1.5))
without_dimensions("I.37.4", "1 + a + 2 * sqrt(a) * cos(delta)", a=(0.1, 1), delta=TURN)
without_dimensions("I.40.1", "n0 * exp(-a)", n0=UNIT, a=SIGNED)
without_dimensions("I.44.4", "n * log(a)", n=UNIT, a=DIVISOR)
without_dimensions("I.50.26", "cos(a) + alpha * cos(a)**2", a=TURN, alpha=UNIT)
without_dimensions("II.2.42", "(a - 1) * b", a=UNIT, b=UNIT)
without_dimensions("II.6.15a", "c * sqrt(a**2 + b**2) / (4 * pi)", smooth=False, a=UNIT, b=UNIT, c=UNIT)
without_dimensions("II.11.7", "n0 * (1 + a * cos(theta))", n0=UNIT, a=SIGNED, theta=TURN)
without_dimensions("II.11.27", "n * alpha / (1 - n * alpha / 3)", n=UNIT, alpha=(0, 2))
without_dimensions("II.35.18", "n0 / (exp(a) + exp(-a))", n0=UNIT, a=(0, 4))
without_dimensions("II.36.38", "a + alpha * b", a=UNIT, alpha=UNIT, b=UNIT)
without_dimensions("II.38.3", "a / b", a=UNIT, b=DIVISOR)
without_dimensions("III.9.52", "a * sinc((b - c) / 2)**2", a=UNIT, b=(0, PI), c=(0, PI))
without_dimensions("III.10.19", "sqrt(1 + a**2 + b**2)", a=UNIT, b=UNIT)
