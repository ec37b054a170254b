package io.espalier.slim;

import io.espalier.tensor.Internal;

import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;

/** Small numbers as a person writes them: 0.0001, not 1.0E-4. */
@Internal
public final class PlainNumber {
    private static final int DIGITS = 4;

    private PlainNumber() {}

    /** All digits of a finite number. */
    public static String of(double number) {
        return new BigDecimal(Double.toString(number)).stripTrailingZeros().toPlainString();
    }

    /** Four digits of a finite number, no less than it, so that what is above a bound shows it. */
    public static String roundedUp(double number) {
        return of(
                new BigDecimal(number)
                        .round(new MathContext(DIGITS, RoundingMode.CEILING))
                        .doubleValue());
    }
}
