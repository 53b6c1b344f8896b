"""Spellings by which scripts read their knobs: each gives the names, types and defaults that it means."""

import pytest

from harness.scripts.knobs import read_script

# source, {knob: (kind, default)}
SPELLINGS = {
    "a default cut out of a table, and one put in order": (
        """\
import os
NAMES = ["scale", "gain", "bias"]
KEPT = tuple(os.environ.get("KEPT", ",".join(NAMES[:2])).split(","))
ORDER = os.environ.get("ORDER", ":".join(sorted({"b": 1, "a": 2})))
""",
        {"KEPT": ("text", "scale,gain"), "ORDER": ("text", "a:b")},
    ),
    "a helper with older names beside the new one": (
        """\
import os
def get(name, default, older=()):
    for each in (name, *older):
        if each in os.environ:
            return type(default)(os.environ[each])
    return default
DEPTH = get("DEPTH", 8, older=("LAYERS", "NUM_LAYERS"))
""",
        {"DEPTH": ("int", "8"), "LAYERS": ("int", "8"), "NUM_LAYERS": ("int", "8")},
    ),
    "defaults merged below the environment": (
        """\
import os
DEFAULTS = {"DEPTH": "9", "WIDTH": "128"}
os.environ = {**DEFAULTS, **os.environ}
os.environ |= {"HEADS": "4"}
DEPTH = int(os.environ["DEPTH"])
WIDTH = int(os.getenv("WIDTH", "64"))
HEADS = int(os.environ.get("HEADS", "8"))
""",
        {"DEPTH": ("int", "9"), "WIDTH": ("int", "128"), "HEADS": ("int", "4")},
    ),
    "a table of defaults with the environment above it": (
        """\
import os
config = {"DEPTH": "9"} | dict(os.environ)
DEPTH = int(config["DEPTH"])
OTHER = int(os.environ.get("DEPTH_OF_HEAD", "2"))
""",
        {"DEPTH": ("int", "9"), "DEPTH_OF_HEAD": ("int", "2")},
    ),
    "a table above the environment says nothing of other reads": (
        """\
import os
config = {"WIDTH": "9"} | dict(os.environ)
WIDTH = int(os.environ.get("WIDTH", "2"))
""",
        {"WIDTH": ("int", "2")},
    ),
    "a helper that sets what is not set": (
        """\
import os
def suggest(name, value):
    if name not in os.environ:
        os.environ[name] = value
suggest("DEPTH", "12")
DEPTH = int(os.environ.get("DEPTH", "4"))
""",
        {"DEPTH": ("int", "12")},
    ),
    "a default of the system that the script runs on": (
        """\
import os, sys
COMPILE = bool(int(os.environ.get("COMPILE", "0" if os.name == "nt" else "1")))
BACKEND = os.environ.get("BACKEND", "math" if sys.platform.startswith("win") else "flash")
""",
        {"COMPILE": ("flag", "1"), "BACKEND": ("text", "flash")},
    ),
    "an empty default with another behind it": (
        """\
import os
DEPTH = int(os.environ.get("DEPTH", "") or "6")
WIDTH = int(os.environ.get("WIDTH", "").strip() or 64)
NAME = os.environ.get("NAME", "")
CHOICE = os.environ.get("CHOICE", "") if DEPTH else "other"
""",
        {
            "DEPTH": ("int", "6"),
            "WIDTH": ("int", "64"),
            "NAME": ("text", ""),
            "CHOICE": ("text", ""),
        },
    ),
    "defaults by repetition, comparison and the name of a path": (
        """\
import os
BITS = os.environ.get("BITS", ",".join(["8"] * 3))
DEPTH = int(os.environ.get("DEPTH", 3 if len(BITS) >= 0 else 4))
SIZE = int(os.environ.get("SIZE", 3 if 2 > 1 else 4))
FILE = os.environ.get("FILE", os.path.basename("parts/model.bin"))
""",
        {
            "BITS": ("text", "8,8,8"),
            "DEPTH": ("int", "3"),
            "SIZE": ("int", "3"),
            "FILE": ("text", "model.bin"),
        },
    ),
    "an environment taken by its name": (
        """\
import os
DEPTH = int(getattr(os, "environ").get("DEPTH", "4"))
""",
        {"DEPTH": ("int", "4")},
    ),
    "a helper that returns early for text": (
        """\
import os
def get(name, default, plain=False):
  if plain:
    return os.environ.get(name, default)
  return int(os.environ.get(name, default))
A=get('A',1)
B=get('B','x',plain=True)
""",
        {"A": ("int", "1"), "B": ("text", "x")},
    ),
    "name and default in locals": (
        """\
import os
def h():
  a='MATRIX_LR';b='0.04'
  c=os.environ
  return float(c.get(a,b))
h()
""",
        {"MATRIX_LR": ("float", "0.04")},
    ),
    "short names in a class body": (
        """\
import os as o
class H:
  A='WARM';B=o.environ.get
  w=int(B(A,'20'))
""",
        {"WARM": ("int", "20")},
    ),
    "getter and cast as defaults of parameters": (
        """\
import os
def h(e=os.environ.get,i=int):
  N='NUM_LAYERS'
  return i(e(N,9))
h()
""",
        {"NUM_LAYERS": ("int", "9")},
    ),
    "pairs of name and default": (
        """\
import os
def h():
  A,B=('SEED',1337),('LR',0.1)
  s=int(os.environ.get(*A)); l=float(os.environ.get(B[0],B[1]))
h()
""",
        {"SEED": ("int", "1337"), "LR": ("float", "0.1")},
    ),
    "a prefix in a constant": (
        """\
import os
E=os.environ
P='MUON_'
def h():
  p=P+'LR'
  return float(E.get(p,'1'))
h()
""",
        {"MUON_LR": ("float", "1")},
    ),
    "a walrus in a test": (
        """\
import os
if (v:=os.environ.get('MAX_STEPS')) is not None:
  n=int(v)
else:
  n=100
""",
        {"MAX_STEPS": ("int", None)},
    ),
    "an import by a call": (
        """\
x=__import__('os').environ.get('A','1')
y=int(x)
""",
        {"A": ("int", "1")},
    ),
    "the environment of an import by a call": (
        """\
e=__import__('os').environ
x=float(e['B'])
""",
        {"B": ("float", None)},
    ),
    "importlib": (
        """\
import importlib
o=importlib.import_module('os')
x=int(o.getenv('C','3'))
""",
        {"C": ("int", "3")},
    ),
    "imported under short names": (
        """\
from os import environ as E, getenv as g
x=int(E.get('D',4));y=int(g('F','5'))
""",
        {"D": ("int", "4"), "F": ("int", "5")},
    ),
    "sys.modules": (
        """\
import os,sys
x=int(sys.modules['os'].environ.get('G','3'))
""",
        {"G": ("int", "3")},
    ),
    "the getter of an import by a call": (
        """\
o=__import__('os')
g=o.environ.get
x=int(g('H','3'))
""",
        {"H": ("int", "3")},
    ),
    "names in *args": (
        """\
import os
def env(*names, default=None, cast=str):
  for n in names:
    v=os.environ.get(n)
    if v is not None:
      return cast(v)
  return default
L=env('NUM_LAYERS','N_LAYER',default=9,cast=int)
R=env('LR',default=0.1,cast=float)
""",
        {"NUM_LAYERS": ("int", "9"), "N_LAYER": ("int", "9"), "LR": ("float", "0.1")},
    ),
    "one name or several": (
        """\
import os
def env(names, default):
  if isinstance(names,str):
    names=[names]
  for n in names:
    if n in os.environ:
      return type(default)(os.environ[n])
  return default
A=env('A1',3)
B=env(('B1','B2'),0.5)
""",
        {"A1": ("int", "3"), "B1": ("float", "0.5"), "B2": ("float", "0.5")},
    ),
    "the first name that is set": (
        """\
import os
def first(*names):
  return next((os.environ[n] for n in names if n in os.environ), None)
x=int(first('P','Q') or 7)
""",
        {"P": ("int", "7"), "Q": ("int", "7")},
    ),
    "map over names": (
        """\
import os
def env_int(k,d): return int(os.environ.get(k,d))
a,b=map(lambda k: env_int(k,1),('X','Y'))
""",
        {"X": ("int", "1"), "Y": ("int", "1")},
    ),
    "names of keywords": (
        """\
import os
def g(k,d,t=float): return t(os.environ.get(k,d))
class C:
  def __init__(s, **kw):
    for k,d in kw.items():
      setattr(s,k,g(k.upper(),d))
C(lr=0.1,wd=0.2)
""",
        {"LR": ("float", "0.1"), "WD": ("float", "0.2")},
    ),
    "partial": (
        """\
import os
from functools import partial
def env(n,d,cast=str): return cast(os.environ.get(n,d))
ei=partial(env,cast=int)
ef=partial(env,cast=float)
A=ei('A',1)
B=ef('B',2)
""",
        {"A": ("int", "1"), "B": ("float", "2")},
    ),
    "lambdas": (
        """\
import os
env_i=lambda n,d:int(os.environ.get(n,d))
env_b=lambda n,d:bool(int(os.environ.get(n,d)))
A=env_i('A',1);B=env_b('B','0')
""",
        {"A": ("int", "1"), "B": ("flag", "0")},
    ),
    "methods of three kinds": (
        """\
import os
class Env:
  @staticmethod
  def i(n,d): return int(os.environ.get(n,d))
  def f(self,n,d): return float(os.environ.get(n,d))
  @classmethod
  def b(cls,n,d): return os.environ.get(n,d)=='1'
e=Env()
A=Env.i('A',1);B=e.f('B',2);C=Env.b('C','0')
""",
        {"A": ("int", "1"), "B": ("float", "2"), "C": ("flag", "0")},
    ),
    "a prefix from a function around": (
        """\
import os
def make(prefix):
  def g(n,d): return float(os.environ.get(prefix+n,d))
  return g
g=make('OPT_')
A=g('LR','0.1')
""",
        {"OPT_LR": ("float", "0.1")},
    ),
    "a table in a comprehension": (
        """\
import os
D={'lr':0.1,'layers':9}
C={k:type(v)(os.environ.get(k.upper(),v)) for k,v in D.items()}
""",
        {"LR": ("float", "0.1"), "LAYERS": ("int", "9")},
    ),
    "the variables of a class": (
        """\
import os
class H:
  lr=0.1
  layers=9
  on=True
for k,v in list(vars(H).items()):
  if not k.startswith('_') and k.upper() in os.environ:
    setattr(H,k,type(v)(os.environ[k.upper()]))
""",
        {"LR": ("float", "0.1"), "LAYERS": ("int", "9"), "ON": ("flag", "True")},
    ),
    "annotations of a class": (
        """\
import os
class H:
  lr: float = 0.1
  layers: int = 9
for k,t in H.__annotations__.items():
  e=os.environ.get(k.upper())
  if e is not None: setattr(H,k,t(e))
""",
        {"LR": ("float", None), "LAYERS": ("int", None)},
    ),
    "a helper that makes fields": (
        """\
import os
from dataclasses import dataclass, field
def env(n,d,c): return field(default_factory=lambda: c(os.environ.get(n,d)))
@dataclass
class H:
  lr: float = env('LR','0.1',float)
  n: int = env('N','3',int)
""",
        {"LR": ("float", "0.1"), "N": ("int", "3")},
    ),
    "a factory of a field": (
        """\
import os
from dataclasses import dataclass, field
@dataclass
class H:
  lr: float = field(default_factory=lambda: float(os.environ.get('LR','0.1')))
""",
        {"LR": ("float", "0.1")},
    ),
    "an older name as default": (
        """\
import os
x=int(os.environ.get('NEW',os.environ.get('OLD',1)))
""",
        {"NEW": ("int", "1"), "OLD": ("int", "1")},
    ),
    "or between names": (
        """\
import os
x=float(os.getenv('NEW') or os.getenv('OLD') or 0.5)
""",
        {"NEW": ("float", "0.5"), "OLD": ("float", "0.5")},
    ),
    "a test for the newer name": (
        """\
import os
x=int(os.environ['NEW'] if 'NEW' in os.environ else os.environ.get('OLD','7'))
""",
        {"NEW": ("int", "7"), "OLD": ("int", "7")},
    ),
    "three names": (
        """\
import os
E=os.environ.get
x=bool(int(E('NEW',E('OLD',E('OLDER','1')))))
""",
        {"NEW": ("flag", "1"), "OLD": ("flag", "1"), "OLDER": ("flag", "1")},
    ),
    "a helper in a helper's call": (
        """\
import os
def g(n,d): return os.environ.get(n,d)
x=float(g('NEW',g('OLD','0.3')))
""",
        {"NEW": ("float", "0.3"), "OLD": ("float", "0.3")},
    ),
    "an older name in a constant": (
        """\
import os
old=os.environ.get('OLD','4')
x=int(os.environ.get('NEW',old))
""",
        {"NEW": ("int", "4"), "OLD": ("int", "4")},
    ),
    "setdefault before a read": (
        """\
import os
os.environ.setdefault('A','500')
x=int(os.environ['A'])
""",
        {"A": ("int", "500")},
    ),
    "setdefault from a table": (
        """\
import os
for k,v in {'A':'1','B':'0.5'}.items(): os.environ.setdefault(k,v)
x=int(os.environ['A']);y=float(os.environ.get('B','9'))
""",
        {"A": ("int", "1"), "B": ("float", "0.5")},
    ),
    "update from a comprehension": (
        """\
import os
D=dict(A='3')
os.environ.update({k:v for k,v in D.items() if k not in os.environ})
x=int(os.environ['A'])
""",
        {"A": ("int", "3")},
    ),
    "set when it is not set": (
        """\
import os
if 'A' not in os.environ:
  os.environ['A']='8'
x=int(os.environ['A'])
""",
        {"A": ("int", "8")},
    ),
    "set from itself": (
        """\
import os
os.environ['A']=os.environ.get('A','6')
x=int(os.environ['A'])
""",
        {"A": ("int", "6")},
    ),
    "set by a helper": (
        """\
import os
def setup(d):
  for k,v in d.items():
    os.environ.setdefault(k,str(v))
setup({'A':1,'B':0.5})
x=int(os.environ['A']);y=float(os.environ['B'])
""",
        {"A": ("int", "1"), "B": ("float", "0.5")},
    ),
    "a joined list": (
        """\
import os
x=[int(a) for a in os.environ.get('L',','.join(map(str,[1,2]))).split(',')]
""",
        {"L": ("text", "1,2")},
    ),
    "a joined path": (
        """\
import os
x=os.environ.get('P',os.path.join('data','fineweb'))
""",
        {"P": ("text", "data/fineweb")},
    ),
    "a product": (
        """\
import os
B=64
x=int(os.environ.get('T',str(B*1024)))
""",
        {"T": ("int", "65536")},
    ),
    "a default from another knob": (
        """\
import os
D=int(os.environ.get('DIM',512))
H=int(os.environ.get('HID',D*4))
""",
        {"DIM": ("int", "512"), "HID": ("int", "2048")},
    ),
    "a text with another knob": (
        """\
import os
D=int(os.environ.get('DIM',512))
x=os.environ.get('RUN',f'run_d{D}')
""",
        {"DIM": ("int", "512"), "RUN": ("text", "run_d512")},
    ),
    "arithmetic and methods": (
        """\
import os
x=os.environ.get('NAME','a' 'b'.upper())
y=int(os.environ.get('Z',2**10-1))
z=float(os.environ.get('W',1/4))
""",
        {"NAME": ("text", "AB"), "Z": ("int", "1023"), "W": ("float", "0.25")},
    ),
    "functions of numbers": (
        """\
import os
import math
x=float(os.environ.get('S',math.sqrt(16)))
y=int(os.environ.get('M',max(2,3)))
w=int(os.environ.get('R',round(2.6)))
u=float(os.environ.get('K',float('inf')))
""",
        {"S": ("float", "4.0"), "M": ("int", "3"), "R": ("int", "3"), "K": ("float", "inf")},
    ),
    "three ways to format": (
        """\
import os
x=int(os.environ.get('N','{}'.format(12)))
y=os.environ.get('F','%d_%s'%(3,'a'))
z=os.environ.get('G',f'{0.1:.3f}')
""",
        {"N": ("int", "12"), "F": ("text", "3_a"), "G": ("text", "0.100")},
    ),
    "underscores and eval": (
        """\
import os
x=int(os.environ.get('N',1_000_000))
y=int(eval(os.environ.get('E','2**3')))
""",
        {"N": ("int", "1000000"), "E": ("text", "2**3")},
    ),
    "paths with /": (
        """\
import os
from pathlib import Path
x=Path(os.environ.get('D',Path('data')/'sp'))
y=os.environ.get('H',str(Path('a','b')))
""",
        {"D": ("text", "data/sp"), "H": ("text", "a/b")},
    ),
    "a byte order mark": (
        """\
\ufeffimport os
x=int(os.environ.get('A','1'))
""",
        {"A": ("int", "1")},
    ),
    "yes and no": (
        """\
import os
x=os.environ.get('A','0').lower() in {'1','true'}
y=os.environ.get('B')=='1'
z=not os.environ.get('C','')
""",
        {"A": ("flag", "0"), "B": ("flag", None), "C": ("flag", "")},
    ),
    "strtobool": (
        """\
import os
import distutils.util as u
from distutils.util import strtobool
x=bool(strtobool(os.environ.get('A','no')))
""",
        {"A": ("flag", "no")},
    ),
    "json": (
        """\
import os
import json
x=json.loads(os.environ.get('A','true'))
""",
        {"A": ("text", "true")},
    ),
    "literal_eval": (
        """\
import os
from ast import literal_eval
x=literal_eval(os.environ.get('A','(0.9, 0.95)'))
""",
        {"A": ("text", "(0.9, 0.95)")},
    ),
    "names like a library's": (
        """\
import os
a=os.environ.get('TORCH_COMPILE','1')=='1'
b=os.environ.get('WANDB_TAGS','');c=os.environ.get('CC','gcc');d=os.environ.get('TORCHDYNAMO_DISABLE','0');e=os.environ.get('WANDB_PROJECT','x');f=os.environ.get('CUDA_GRAPHS','0')
os.environ.get('OMP_NUM_THREADS')
""",
        {
            "TORCH_COMPILE": ("flag", "1"),
            "WANDB_TAGS": ("text", ""),
            "WANDB_PROJECT": ("text", "x"),
            "CUDA_GRAPHS": ("text", "0"),
        },
    ),
    "pop": (
        """\
import os
x=int(os.environ.pop('A','1'))
y=os.environb.get(b'B',b'2')
""",
        {"A": ("int", "1")},
    ),
    "a copy of the environment": (
        """\
import os
e=dict(os.environ)
x=int(e.get('A','1'));y=e['B']
""",
        {"A": ("int", "1"), "B": ("text", None)},
    ),
    "a read in a try": (
        """\
import os
try:
  x=int(os.environ['A'])
except KeyError:
  x=3
""",
        {"A": ("int", None)},
    ),
    "match": (
        """\
import os
match os.environ.get('OPT','muon'):
  case 'muon': pass
  case _: pass
""",
        {"OPT": ("text", "muon")},
    ),
    "keywords of get": (
        """\
import os
x=os.environ.get(key='A',default='1') if 0 else None
""",
        {"A": ("text", "1")},
    ),
    "from os import *": (
        """\
import os
import os.path, os
from os import *
x=int(environ.get('A','1'))
y=getenv('B','2')
""",
        {"A": ("int", "1"), "B": ("text", "2")},
    ),
    "or and strip": (
        """\
import os
x=int((os.environ.get('A') or '3').strip())
""",
        {"A": ("int", "3")},
    ),
    "a cast by the type of the default": (
        """\
import os
def env(n, d):
  v = os.environ.get(n, None)
  if v is None: return d
  if isinstance(d, bool): return v.lower() in ('1','true')
  if isinstance(d, int): return int(v)
  if isinstance(d, float): return float(v)
  return v
A=env('A',True);B=env('B',3);C=env('C',0.1);D=env('D','x')
""",
        {"A": ("flag", "True"), "B": ("int", "3"), "C": ("float", "0.1"), "D": ("text", "x")},
    ),
    "type of the default": (
        """\
import os
def env(n, d):
  return type(d)(os.environ.get(n, d))
A=env('B',3);C=env('C',0.1)
""",
        {"B": ("int", "3"), "C": ("float", "0.1")},
    ),
    "a table of casts": (
        """\
import os
CFG=[('A',int,3),('B',float,0.5),('C',lambda s: s=='1','0')]
for n,t,d in CFG:
  globals()[n]=t(os.environ.get(n,d))
""",
        {"A": ("int", "3"), "B": ("float", "0.5"), "C": ("flag", "0")},
    ),
    "keywords of a namespace": (
        """\
import os
from types import SimpleNamespace as S
h=S(lr=float(os.environ.get('LR','1e-3')),n=int(os.environ.get('N',2)))
""",
        {"LR": ("float", "1e-3"), "N": ("int", "2")},
    ),
    "a keyword for the cast": (
        """\
import os
g=lambda k,d=None,*,cast=str:cast(os.environ.get(k,d))
x=g('A','1',cast=int)
""",
        {"A": ("int", "1")},
    ),
    "a cast that has a default": (
        """\
import os
def env(n, default=0, kind=None):
  kind = kind or type(default)
  raw = os.environ.get(n)
  return default if raw is None else kind(raw)
A=env('A',0.5);B=env('B',kind=int)
""",
        {"A": ("float", "0.5"), "B": ("int", "0")},
    ),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_spelling_gives_its_knobs(spelling):
    source, expected = SPELLINGS[spelling]

    script = read_script(source)

    assert {name: (knob.kind, knob.default) for name, knob in script.knobs.items()} == expected
    assert script.unclear == ()


def test_a_search_that_a_limit_cuts_short_says_so():
    calls = "".join(f"get('N{number}')\n" for number in range(2_100))
    script = read_script(f"import os\ndef get(name): return os.environ.get(name)\n{calls}")

    assert script.dynamic
    assert "more calls within calls than are followed" in script.unclear[0]


def test_classes_that_make_one_another_are_read_whole():
    """Chains of classes and values multiply when each is followed apart."""
    classes = "".join(
        f"class B{n}(Module):\n  def __init__(s, d, k=0):\n    s.w = int(os.environ.get('W{n}', d))\n"
        f"    s.m = os.environ.get(k, 'x')\n"
        + "".join(
            f"    s.b{other} = B{other}(d + {other}, 'K{other}')\n" for other in range(12) if other != n
        )
        for n in range(12)
    )
    script = read_script(f"import os\nfrom torch.nn import Module\n{classes}m = B0(1, 'A')\n")

    assert set(script.knobs) == {"A", *(f"{letter}{n}" for letter in "WK" for n in range(12))}
    assert script.unclear == ()
