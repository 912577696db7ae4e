"""The standing evaluation of the starter model: the same questions to every recipe for it, speakers or corpora unseen.

``folds.py``         trains the recipe with speakers, and with corpora, left out
``questions.py``     what each fold's model is asked
``degradations.py``  what recordings sound like that were not made in a studio
``scores.py``        answers to scores
``run.py``           all of it, and the record that is kept
"""
